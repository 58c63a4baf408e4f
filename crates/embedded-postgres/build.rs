//! Finds the PostgreSQL build this crate takes in, where there is one for the target.
//!
//! The build comes as a data file inside a crate that has no code. Cargo has no way to name a file of a
//! dependency, so `cargo metadata` is asked where that crate lies. Without it the crate still builds, and
//! uses an installed PostgreSQL.

use std::env;
use std::path::PathBuf;
use std::process::Command;

const PACKAGE: &str = "pglite-rs-lib-x86_64-unknown-linux-gnu";
const ARCHIVE: &str = "lib/pglite-runtime.tar.zst";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=Cargo.toml");
    println!("cargo:rustc-check-cfg=cfg(bundled_postgres)");
    let target = env::var("TARGET").unwrap_or_default();
    if env::var_os("CARGO_FEATURE_BUNDLED").is_none() || target != "x86_64-unknown-linux-gnu" {
        return;
    }
    match archive(&target) {
        Ok((path, version)) => {
            println!("cargo:rerun-if-changed={}", path.display());
            println!(
                "cargo:rustc-env=EMBEDDED_POSTGRES_ARCHIVE={}",
                path.display()
            );
            println!("cargo:rustc-env=EMBEDDED_POSTGRES_BUILD={version}");
            println!("cargo:rustc-cfg=bundled_postgres");
        }
        Err(reason) => {
            // A file that is never there: the next build looks again.
            println!("cargo:rerun-if-changed=not-found-yet");
            println!(
                "cargo:warning=embedded-postgres: no PostgreSQL is taken into the binary, an installed one will be used: {reason}"
            );
        }
    }
}

/// The place of the archive in the cargo registry, and the version of the crate it came with.
fn archive(target: &str) -> Result<(PathBuf, String), String> {
    let cargo = env::var_os("CARGO").ok_or("CARGO is not set")?;
    // Not `--offline`: on a fresh machine metadata may still have to fetch crates of other features.
    let output = Command::new(cargo)
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--filter-platform",
            target,
        ])
        .current_dir(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?)
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "cargo metadata: {}",
            message.trim().lines().last().unwrap_or("failed")
        ));
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let package = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == PACKAGE)
        .ok_or_else(|| format!("the package {PACKAGE} is not among the dependencies"))?;
    let manifest = package["manifest_path"]
        .as_str()
        .ok_or("cargo metadata names no manifest")?;
    let version = package["version"]
        .as_str()
        .ok_or("cargo metadata names no version")?;
    let path = PathBuf::from(manifest).with_file_name(ARCHIVE);
    if path.is_file() {
        Ok((path, version.to_owned()))
    } else {
        Err(format!("{} is missing", path.display()))
    }
}
