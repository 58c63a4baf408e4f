//! Build-time half of a gRPC-JSON transcoder.
//!
//! From `.proto` files, without protoc, one call in `build.rs` makes everything a service needs that can be derived:
//! prost messages and tonic stubs, their JSON mapping, validation, HTTP routes, the specs that layers read, the
//! descriptor set for reflection, the OpenAPI and the AsyncAPI description, pages on events. All of it comes from one checked representation, [`ir`].
//!
//! ```no_run
//! // build.rs
//! transcode_build::configure().root("proto").compile().unwrap();
//! ```
//!
//! ```ignore
//! // src/pb.rs
//! include!(concat!(env!("OUT_DIR"), "/pb.rs"));
//! ```

pub mod asyncapi;
mod codegen;
mod error;
pub mod event_pages;
pub mod ir;
mod load;
mod notation;
pub mod openapi;
mod options;
mod schema;
pub mod template;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub use error::{Error, Place};

/// How a contract is compiled.
#[derive(Debug, Default)]
pub struct Config {
    roots: Vec<PathBuf>,
    includes: Vec<PathBuf>,
    files: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
    omit_defaults: bool,
    omit_websockets: bool,
    choices: Choices,
}

/// What is decided outside of the contract.
#[derive(Debug, Default)]
struct Choices {
    undeclared: Undeclared,
    overlaps: Overlaps,
    /// Full names of RPCs.
    grpc_only: BTreeSet<String>,
}

/// What an RPC is of which the contract does not say who may call it: with neither scopes nor `public` in
/// `transcode.v1.method`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Undeclared {
    /// An error: the contract doesn't build.
    #[default]
    Refused,
    /// Not public, and without scopes: the policy decides.
    NotPublic,
    /// Public.
    Public,
}

/// What two HTTP rules are that some requests match both, of which neither is the more particular, such as
/// `/v1/{id}/parts` and `/v1/sku/{sku}`, unless a pattern keeps them apart. The same rule on two RPCs is always an error.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Overlaps {
    /// An error: the contract doesn't build. Something could not be reached.
    #[default]
    Refused,
    /// The first segment that differs decides: a word before `*`, `*` before `**`. It is so for rules of which one is the
    /// more particular in any case.
    FirstSegmentDecides,
}

/// Begins a configuration.
pub fn configure() -> Config {
    Config::default()
}

impl Config {
    /// Adds a folder: all `.proto` files in it are compiled, and imports are looked up in it.
    #[must_use]
    pub fn root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.roots.push(folder.into());
        self
    }

    /// Adds a folder in which imports are looked up, such as one with the files of `google/api`. What is imported from it is
    /// compiled, but its services are not served: they are those of others.
    #[must_use]
    pub fn include(mut self, folder: impl Into<PathBuf>) -> Self {
        self.includes.push(folder.into());
        self
    }

    /// Adds one file, in a folder of [`Config::root`] or [`Config::include`].
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files.push(path.into());
        self
    }

    /// Says what an RPC is of which the contract does not say who may call it. Contracts that were written for another
    /// transcoder say nothing of it.
    #[must_use]
    pub const fn undeclared(mut self, undeclared: Undeclared) -> Self {
        self.choices.undeclared = undeclared;
        self
    }

    /// Says what rules are that share some requests. Contracts of others may have them.
    #[must_use]
    pub const fn overlaps(mut self, overlaps: Overlaps) -> Self {
        self.choices.overlaps = overlaps;
        self
    }

    /// Leaves the HTTP rules of an RPC out, such as `package.v1.Service.Method`: it is served by gRPC alone. For contracts of
    /// others in which two RPCs have one rule.
    #[must_use]
    pub fn grpc_only(mut self, rpc: impl Into<String>) -> Self {
        self.choices.grpc_only.insert(rpc.into());
        self
    }

    /// Where the code goes; cargo's `OUT_DIR` when it is not said.
    #[must_use]
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Leaves zeros, empty texts, lists and maps out of JSON where their fields have no presence, as ProtoJSON does unless
    /// it is told otherwise. Without this they are written, so that every answer of a type has the same fields.
    #[must_use]
    pub const fn omit_defaults(mut self) -> Self {
        self.omit_defaults = true;
        self
    }

    /// Leaves WebSockets out of the OpenAPI description, for a server that takes none.
    #[must_use]
    pub const fn omit_websockets(mut self) -> Self {
        self.omit_websockets = true;
        self
    }

    /// Parses and checks the contract.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn api(&self) -> Result<ir::Api, Error> {
        Ok(self.contract(&self.files()?)?.api)
    }

    fn contract(&self, files: &[PathBuf]) -> Result<load::Contract, Error> {
        let includes: Vec<_> = self.roots.iter().chain(&self.includes).cloned().collect();
        let mut contract = load::load(&includes, files, &self.choices)?;
        contract.api.omit_defaults = self.omit_defaults;
        contract.api.omit_websockets = self.omit_websockets;
        Ok(contract)
    }

    /// Writes `pb.rs`, with a module for each package and `METHODS` of them all, `descriptor.bin`, `openapi.json` and `.yaml`, `asyncapi.json` and
    /// `.yaml`, and `event_pages.rs`, an expression: the name and the text of each page on events.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn compile(self) -> Result<(), Error> {
        let files = self.files()?;
        // Only cargo, which runs build scripts with a folder for what they make, has a use for it.
        if std::env::var_os("OUT_DIR").is_some() {
            for path in self.roots.iter().chain(&files) {
                println!("cargo:rerun-if-changed={}", path.display());
            }
        }
        let out = match &self.out_dir {
            Some(folder) => folder.clone(),
            None => PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default()),
        };
        let contract = self.contract(&files)?;
        write(&out.join("descriptor.bin"), &contract.descriptor_set)?;
        for (name, description) in [
            ("openapi", openapi::document(&contract.api)),
            ("asyncapi", asyncapi::document(&contract.api)),
        ] {
            let file = |notation| out.join(format!("{name}.{notation}"));
            write(&file("json"), notation::json(&description)?.as_bytes())?;
            write(&file("yaml"), notation::yaml(&description)?.as_bytes())?;
        }
        let pages = event_pages::pages(&contract.api)?;
        write(
            &out.join("event_pages.rs"),
            codegen::texts(&pages)?.as_bytes(),
        )?;

        // prost looks at the well-known types, though it has code of its own for them.
        let files = contract.well_known.iter().chain(&contract.files);
        let protos = files.map(|file| contract.generated(file)).collect();
        let set = prost_types::FileDescriptorSet { file: protos };
        let mut stubs = tonic_prost_build::configure();
        // prost-types has all of this package; where messages of it belong to the contract, only what has a JSON of its own.
        if contract
            .files
            .iter()
            .any(|file| file.package_name() == load::WELL_KNOWN_PACKAGE)
        {
            stubs = stubs.compile_well_known_types(true);
            for (name, path) in codegen::well_known() {
                stubs = stubs.extern_path(format!(".{}.{name}", load::WELL_KNOWN_PACKAGE), path);
            }
        }
        stubs
            .out_dir(&out)
            // So that a message has one form, as bytes and as JSON.
            .btree_map(".")
            .compile_fds(set)
            .map_err(|source| Error::File {
                path: out.display().to_string(),
                source,
            })?;
        let packages: BTreeSet<_> = contract
            .files
            .iter()
            .map(|file| file.package_name().to_owned())
            .collect();
        for package in &packages {
            let path = out.join(codegen::file_name(package));
            let mut code = match std::fs::read_to_string(&path) {
                // A package may have nothing to make code of, only extensions.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                read => read.map_err(|source| Error::File {
                    path: path.display().to_string(),
                    source,
                })?,
            };
            code.push_str(&codegen::package(&contract.api, package)?);
            write(&path, code.as_bytes())?;
        }
        let mut code = modules(&packages);
        code.push_str(&codegen::all_methods(&contract.api)?);
        write(&out.join("pb.rs"), code.as_bytes())
    }

    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = self.files.clone();
        for root in &self.roots {
            walk(root, &mut files).map_err(|source| Error::File {
                path: root.display().to_string(),
                source,
            })?;
        }
        files.sort();
        files.dedup();
        Ok(files)
    }
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    Ok(())
}

fn write(path: &Path, content: &[u8]) -> Result<(), Error> {
    std::fs::write(path, content).map_err(|source| Error::File {
        path: path.display().to_string(),
        source,
    })
}

/// Modules around the files of packages.
fn modules(packages: &BTreeSet<String>) -> String {
    let mut tree = Tree::default();
    for package in packages {
        let mut node = &mut tree;
        for part in package.split('.').filter(|part| !part.is_empty()) {
            node = node.children.entry(part.to_owned()).or_default();
        }
        node.package = Some(package);
    }
    let mut code = String::new();
    tree.write(&mut code, 0);
    code
}

#[derive(Default)]
struct Tree<'a> {
    children: std::collections::BTreeMap<String, Tree<'a>>,
    package: Option<&'a String>,
}

impl Tree<'_> {
    fn write(&self, code: &mut String, depth: usize) {
        let indent = "    ".repeat(depth);
        if let Some(package) = self.package {
            // Writing to a String can't fail.
            let _ = writeln!(
                code,
                r#"{indent}include!(concat!(env!("OUT_DIR"), "/{}"));"#,
                codegen::file_name(package)
            );
        }
        for (name, child) in &self.children {
            let _ = writeln!(code, "{indent}pub mod {} {{", codegen::module_name(name));
            child.write(code, depth + 1);
            let _ = writeln!(code, "{indent}}}");
        }
    }
}
