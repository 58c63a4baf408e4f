//! The migration files: their names, their order, and their text, from a folder or from inside the binary.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use super::Error;

/// The repository's `migrations/`, so that a single binary can migrate. The folder's other files come along unused.
#[derive(rust_embed::RustEmbed)]
#[folder = "migrations/"]
struct Embedded;

/// Which way a migration goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// To the version of its file.
    Up,
    /// From the version of its file to the one before it.
    Down,
}

/// One file of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// The whole file name.
    pub(super) file_name: String,
    /// The part between the version and the direction.
    pub(super) title: String,
}

/// The files of one version; golang-migrate accepts one direction without the other.
#[derive(Debug, Default)]
struct Pair {
    up: Option<File>,
    down: Option<File>,
}

#[derive(Debug)]
enum Origin {
    Embedded,
    Directory(PathBuf),
}

/// An ordered set of migrations. The list is read once, a file's text only when it is its turn.
#[derive(Debug)]
pub struct Source {
    origin: Origin,
    pairs: BTreeMap<i64, Pair>,
}

impl Source {
    /// The migrations that are built into this binary.
    pub fn embedded() -> Self {
        let names = Embedded::iter().map(Cow::into_owned);
        let pairs = index(names).expect("a test checks the file names in the repository's folder");
        Self {
            origin: Origin::Embedded,
            pairs,
        }
    }

    /// The migrations in a folder. Files whose name is not of the form `NNN_title.up.sql` are ignored, as
    /// golang-migrate does; two files with the same version and direction are an error.
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let read_error = |cause: std::io::Error| Error::Read {
            path: path.to_owned(),
            cause: cause.to_string(),
        };
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).map_err(read_error)? {
            let entry = entry.map_err(read_error)?;
            if entry.file_type().map_err(read_error)?.is_dir() {
                continue;
            }
            // A name that is not UTF-8 cannot match the pattern's digits and direction in a way anyone meant.
            if let Ok(name) = entry.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(Self {
            origin: Origin::Directory(path.to_owned()),
            pairs: index(names)?,
        })
    }

    /// All versions, lowest first.
    pub fn versions(&self) -> impl DoubleEndedIterator<Item = i64> + '_ {
        self.pairs.keys().copied()
    }

    /// The file names of the `up` migrations above a version, in the order they would run.
    pub fn pending_after(&self, version: i64) -> Vec<String> {
        self.pairs
            .range(version.saturating_add(1)..)
            .map(|(version, pair)| {
                pair.up
                    .as_ref()
                    .or(pair.down.as_ref())
                    .map_or_else(|| version.to_string(), |file| file.file_name.clone())
            })
            .collect()
    }

    /// Whether there is a file of this version, in either direction.
    pub(super) fn contains(&self, version: i64) -> bool {
        self.pairs.contains_key(&version)
    }

    /// The highest version before the given one.
    pub(super) fn previous(&self, version: i64) -> Option<i64> {
        self.pairs
            .range(..version)
            .next_back()
            .map(|(version, _)| *version)
    }

    /// The file of a version and direction; `None` when only the other direction exists.
    pub(super) fn file(&self, version: i64, direction: Direction) -> Option<&File> {
        let pair = self.pairs.get(&version)?;
        match direction {
            Direction::Up => pair.up.as_ref(),
            Direction::Down => pair.down.as_ref(),
        }
    }

    /// The SQL of a file.
    pub(super) async fn read(&self, file: &File) -> Result<String, Error> {
        let (path, bytes) = match &self.origin {
            Origin::Embedded => {
                let bytes =
                    Embedded::get(&file.file_name).map(|embedded| embedded.data.into_owned());
                (
                    PathBuf::from(&file.file_name),
                    bytes.ok_or_else(|| std::io::ErrorKind::NotFound.into()),
                )
            }
            Origin::Directory(directory) => {
                let path = directory.join(&file.file_name);
                let bytes = tokio::fs::read(&path).await;
                (path, bytes)
            }
        };
        let text = bytes.map_err(|error| error.to_string());
        text.and_then(|bytes| {
            String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
        })
        .map_err(|cause| Error::Read { path, cause })
    }
}

impl fmt::Display for Source {
    /// Where the files come from.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Embedded => f.write_str("the files built into this binary"),
            Origin::Directory(path) => path.display().fmt(f),
        }
    }
}

/// Sorts file names into versions and directions.
fn index(names: impl IntoIterator<Item = String>) -> Result<BTreeMap<i64, Pair>, Error> {
    let mut pairs: BTreeMap<i64, Pair> = BTreeMap::new();
    for file_name in names {
        let Some((version, title, direction)) = parse_file_name(&file_name) else {
            continue;
        };
        let Ok(version) = i64::try_from(version) else {
            return Err(Error::VersionTooLarge(file_name));
        };
        let title = title.to_owned();
        let pair = pairs.entry(version).or_default();
        let slot = match direction {
            Direction::Up => &mut pair.up,
            Direction::Down => &mut pair.down,
        };
        if slot.is_some() {
            return Err(Error::Duplicate(file_name));
        }
        *slot = Some(File { file_name, title });
    }
    Ok(pairs)
}

/// `^([0-9]+)_(.*)\.(down|up)\.(.*)$`, where the first `.*` takes as much as it can: the last direction counts.
/// `None` when the name is not a migration's, which includes a version above 64 bits.
fn parse_file_name(name: &str) -> Option<(u64, &str, Direction)> {
    let (digits, rest) = name.split_once('_')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) || name.contains('\n')
    {
        return None;
    }
    let version = digits.parse().ok()?;
    let up = rest.rfind(".up.").map(|at| (at, Direction::Up));
    let down = rest.rfind(".down.").map(|at| (at, Direction::Down));
    let (at, direction) = up.into_iter().chain(down).max_by_key(|(at, _)| *at)?;
    Some((version, &rest[..at], direction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_read_as_golang_migrate_reads_them() {
        for (name, expected) in [
            (
                "001_create_users_table.up.sql",
                Some((1, "create_users_table", Direction::Up)),
            ),
            ("1_a.down.sql", Some((1, "a", Direction::Down))),
            (
                "20261123101500_a.b.up.sql",
                Some((20_261_123_101_500, "a.b", Direction::Up)),
            ),
            ("000_.up.", Some((0, "", Direction::Up))),
            ("2_a.up.down.sql", Some((2, "a.up", Direction::Down))),
            ("2_a.up.b.down.c", Some((2, "a.up.b", Direction::Down))),
            ("2_a.down.up.sql", Some((2, "a.down", Direction::Up))),
            ("2_a_b.up.sql.bak", Some((2, "a_b", Direction::Up))),
            (
                "18446744073709551615_a.up.sql",
                Some((u64::MAX, "a", Direction::Up)),
            ),
            ("18446744073709551616_a.up.sql", None),
            ("a_1.up.sql", None),
            ("1a_1.up.sql", None),
            ("_a.up.sql", None),
            ("1.up.sql", None),
            ("1_up.sql", None),
            ("1_a.up", None),
            ("1_a.sideways.sql", None),
            ("README.md", None),
        ] {
            assert_eq!(parse_file_name(name), expected, "{name}");
        }
    }

    #[test]
    fn versions_are_ordered_as_numbers() {
        let names = [
            "10_c.up.sql",
            "9_b.up.sql",
            "0002_a.up.sql",
            "3_only_down.down.sql",
            "x.txt",
        ];
        let pairs = index(names.map(str::to_owned)).unwrap();
        let source = Source {
            origin: Origin::Embedded,
            pairs,
        };
        assert_eq!(source.versions().collect::<Vec<_>>(), [2, 3, 9, 10]);
        assert_eq!(
            source.pending_after(2),
            ["3_only_down.down.sql", "9_b.up.sql", "10_c.up.sql"]
        );
        assert_eq!(source.previous(9), Some(3));
        assert_eq!(source.previous(2), None);
        assert!(source.contains(3) && !source.contains(4));
        assert!(source.file(3, Direction::Up).is_none());
    }

    #[test]
    fn a_version_and_direction_exists_once() {
        let duplicate = index(["1_a.up.sql", "01_b.up.sql"].map(str::to_owned)).unwrap_err();
        assert_eq!(
            duplicate.to_string(),
            "duplicate migration file: 01_b.up.sql"
        );
        assert!(index(["1_a.up.sql", "1_b.down.sql"].map(str::to_owned)).is_ok());
        let large = index(["9223372036854775808_a.up.sql"].map(str::to_owned)).unwrap_err();
        assert!(matches!(large, Error::VersionTooLarge(_)));
    }

    #[tokio::test]
    async fn the_embedded_files_are_those_of_the_repository() {
        let embedded = Source::embedded();
        let directory =
            Source::directory(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap();
        assert_eq!(
            embedded.versions().collect::<Vec<_>>(),
            directory.versions().collect::<Vec<_>>()
        );
        for version in embedded.versions() {
            for direction in [Direction::Up, Direction::Down] {
                let file = embedded
                    .file(version, direction)
                    .expect("both directions of every version");
                assert_eq!(
                    embedded.read(file).await.unwrap(),
                    directory.read(file).await.unwrap()
                );
                let number: String = file
                    .file_name
                    .chars()
                    .take_while(char::is_ascii_digit)
                    .collect();
                assert_eq!(number, format!("{version:03}"), "three digits");
            }
        }
    }
}
