//! The PostgreSQL inside this binary: programs and their data files as one compressed archive, unpacked once per
//! data directory.

#[cfg(bundled_postgres)]
pub(crate) use present::unpack;

/// Whether this build has a PostgreSQL in it.
pub(crate) const AVAILABLE: bool = cfg!(bundled_postgres);

#[cfg(not(bundled_postgres))]
pub(crate) fn unpack(_data_dir: &std::path::Path) -> Result<std::path::PathBuf, crate::Error> {
    Err(crate::Error::NotBundled)
}

#[cfg(bundled_postgres)]
mod present {
    use std::fs::{self, File};
    use std::path::{Path, PathBuf};

    use ruzstd::decoding::StreamingDecoder;

    use crate::Error;

    const ARCHIVE: &[u8] = include_bytes!(env!("EMBEDDED_POSTGRES_ARCHIVE"));
    /// The version of the crate the archive came with: a newer one unpacks beside it, not over it.
    const BUILD: &str = env!("EMBEDDED_POSTGRES_BUILD");

    /// Unpacks the archive below `data_dir` unless that was done before; gives the directory of the programs.
    /// The caller holds the directory's lock.
    pub(crate) fn unpack(data_dir: &Path) -> Result<PathBuf, Error> {
        let runtime = data_dir.join(format!("runtime-{BUILD}"));
        if !runtime.exists() {
            let unfinished = data_dir.join("runtime.new");
            remove_if_there(&unfinished)?;
            fs::create_dir(&unfinished).map_err(Error::io("cannot create", &unfinished))?;
            extract(&unfinished)
                .map_err(Error::io("cannot unpack PostgreSQL into", &unfinished))?;
            fs::rename(&unfinished, &runtime).map_err(Error::io("cannot create", &runtime))?;
            File::open(data_dir)
                .and_then(|dir| dir.sync_all())
                .map_err(Error::io("cannot sync", data_dir))?;
            remove_older(data_dir, &runtime)?;
        }
        Ok(runtime.join("bin"))
    }

    fn extract(into: &Path) -> std::io::Result<()> {
        let decoder = StreamingDecoder::new(ARCHIVE).map_err(std::io::Error::other)?;
        let mut archive = tar::Archive::new(decoder);
        archive.set_preserve_mtime(false);
        archive.unpack(into)?;
        // Once for all files: the rename that follows must not outlive their contents in a power cut.
        rustix::fs::syncfs(File::open(into)?)?;
        Ok(())
    }

    fn remove_if_there(directory: &Path) -> Result<(), Error> {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("cannot remove", directory)(error))
            }
            _ => Ok(()),
        }
    }

    /// Removes what earlier versions of this program unpacked.
    fn remove_older(data_dir: &Path, current: &Path) -> Result<(), Error> {
        for entry in fs::read_dir(data_dir).map_err(Error::io("cannot read", data_dir))? {
            let path = entry.map_err(Error::io("cannot read", data_dir))?.path();
            let is_runtime = path
                .file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"runtime-"));
            if is_runtime && path != current {
                remove_if_there(&path)?;
            }
        }
        Ok(())
    }
}
