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
mod template;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub use error::{Error, Place};

/// How a contract is compiled.
#[derive(Debug, Default)]
pub struct Config {
    roots: Vec<PathBuf>,
    out_dir: Option<PathBuf>,
    omit_defaults: bool,
    omit_websockets: bool,
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
        let mut contract = load::load(&self.roots, files)?;
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
        for path in self.roots.iter().chain(&files) {
            println!("cargo:rerun-if-changed={}", path.display());
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
        let protos = files
            .map(|file| file.file_descriptor_proto().clone())
            .collect();
        let set = prost_types::FileDescriptorSet { file: protos };
        tonic_prost_build::configure()
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
            let path = out.join(format!(
                "{}.rs",
                if package.is_empty() { "_" } else { package }
            ));
            let mut code = std::fs::read_to_string(&path).map_err(|source| Error::File {
                path: path.display().to_string(),
                source,
            })?;
            code.push_str(&codegen::package(&contract.api, package)?);
            write(&path, code.as_bytes())?;
        }
        let mut code = modules(&packages);
        code.push_str(&codegen::all_methods(&contract.api)?);
        write(&out.join("pb.rs"), code.as_bytes())
    }

    fn files(&self) -> Result<Vec<PathBuf>, Error> {
        let mut files = Vec::new();
        for root in &self.roots {
            walk(root, &mut files).map_err(|source| Error::File {
                path: root.display().to_string(),
                source,
            })?;
        }
        files.sort();
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
            let file = if package.is_empty() { "_" } else { package };
            // Writing to a String can't fail.
            let _ = writeln!(
                code,
                r#"{indent}include!(concat!(env!("OUT_DIR"), "/{file}.rs"));"#
            );
        }
        for (name, child) in &self.children {
            let _ = writeln!(code, "{indent}pub mod {} {{", codegen::module_name(name));
            child.write(code, depth + 1);
            let _ = writeln!(code, "{indent}}}");
        }
    }
}
