//! Finds the APIs of a folder: what is served together, and so must not have two rules for one request.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use prost_reflect::{DynamicMessage, Value};
use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

/// The files of one folder that have services.
pub struct Api {
    /// The name of the folder, with points.
    pub name: String,
    /// As imports name them.
    pub files: Vec<PathBuf>,
}

/// How many HTTP rules there are.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Services.
    pub services: usize,
    /// RPCs.
    pub rpcs: usize,
    /// Rules, those under `additional_bindings` too.
    pub all: usize,
    /// Those under `additional_bindings`.
    pub additional: usize,
    /// Those with `**`.
    pub multi: usize,
}

impl std::iter::Sum for Rules {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |mut sum, rules| {
            sum += rules;
            sum
        })
    }
}

impl std::ops::AddAssign for Rules {
    fn add_assign(&mut self, other: Self) {
        self.services += other.services;
        self.rpcs += other.rpcs;
        self.all += other.all;
        self.additional += other.additional;
        self.multi += other.multi;
    }
}

/// The APIs below a folder.
pub fn find(folder: &Path) -> std::io::Result<Vec<Api>> {
    let mut apis = BTreeMap::new();
    walk(folder, folder, &mut apis)?;
    let apis = apis.into_iter().map(|(name, mut files): (_, Vec<_>)| {
        files.sort();
        Api { name, files }
    });
    Ok(apis.collect())
}

fn walk(
    root: &Path,
    folder: &Path,
    apis: &mut BTreeMap<String, Vec<PathBuf>>,
) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(root, &path, apis)?;
        } else if path.extension().is_some_and(|end| end == "proto")
            && std::fs::read_to_string(&path)?
                .lines()
                .any(|line| line.starts_with("service "))
            && let (Ok(file), Ok(folder)) = (path.strip_prefix(root), folder.strip_prefix(root))
        {
            let parts: Vec<_> = folder.iter().map(|part| part.to_string_lossy()).collect();
            apis.entry(parts.join("."))
                .or_default()
                .push(file.to_owned());
        }
    }
    Ok(())
}

/// Counts the rules of an API in its descriptors, without the engine: by the full names of RPCs, and services by theirs.
pub fn count(folder: &Path, api: &Api) -> BTreeMap<String, Rules> {
    let mut rules = BTreeMap::new();
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(IncludeFileResolver::new(folder.to_owned()));
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    for file in &api.files {
        if compiler.open_file(file).is_err() {
            return rules;
        }
    }
    let pool = compiler.descriptor_pool();
    let http = pool.get_extension_by_name("google.api.http");
    let named = |name: &str| api.files.iter().any(|file| file == Path::new(name));
    for service in pool.services().filter(|s| named(s.parent_file().name())) {
        let one = Rules {
            services: 1,
            ..Rules::default()
        };
        rules.insert(service.full_name().to_owned(), one);
        for method in service.methods() {
            let mut found = Rules::default();
            if let (Some(http), options) = (&http, method.options())
                && options.has_extension(http)
                && let Value::Message(rule) = &*options.get_extension(http)
            {
                found = of(rule);
            }
            found.rpcs = 1;
            rules.insert(method.full_name().to_owned(), found);
        }
    }
    rules
}

fn of(rule: &DynamicMessage) -> Rules {
    let mut rules = Rules {
        all: 1,
        ..Rules::default()
    };
    for method in ["get", "put", "post", "delete", "patch"] {
        let path = rule.get_field_by_name(method);
        let path = path.as_deref().and_then(Value::as_str).unwrap_or_default();
        rules.multi += usize::from(path.contains("**"));
    }
    if let Some(Value::List(list)) = rule.get_field_by_name("additional_bindings").as_deref() {
        for value in list {
            if let Value::Message(rule) = value {
                rules += of(rule);
                rules.additional += 1;
            }
        }
    }
    rules
}
