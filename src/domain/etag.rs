//! Tags of products, and what a caller believes a product to be that is to change.

use std::fmt;
use std::str::FromStr;

use super::product::Product;

/// What tells one state of a product from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etag {
    version: i32,
    revision: i32,
}

impl Etag {
    /// The tag of a product.
    pub const fn of(product: &Product) -> Self {
        Self {
            version: product.version,
            revision: product.revision,
        }
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.version, self.revision)
    }
}

/// The text is no tag of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoEtag;

impl FromStr for Etag {
    type Err = NoEtag;

    fn from_str(text: &str) -> Result<Self, NoEtag> {
        let (version, revision) = text.split_once('.').ok_or(NoEtag)?;
        let number = |text: &str| text.parse().map_err(|_| NoEtag);
        let etag = Self {
            version: number(version)?,
            revision: number(revision)?,
        };
        // A number can be written in several ways, a tag in one.
        (etag.to_string() == text).then_some(etag).ok_or(NoEtag)
    }
}

/// What a product must be for a change to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever it is.
    #[default]
    None,
    /// There, which it must be anyway.
    Exists,
    /// One of these versions. Its stock may have changed since: no caller changes that, and nothing of it is lost.
    Versions(Vec<i32>),
}

impl Precondition {
    /// That of a list of tags, of which `*` stands for any; none when it is empty. What is no tag of a product is that of
    /// none.
    pub fn of(tags: &[String]) -> Self {
        if tags.is_empty() {
            Self::None
        } else if tags.iter().any(|tag| tag == "*") {
            Self::Exists
        } else {
            let versions = tags.iter().filter_map(|tag| tag.parse::<Etag>().ok());
            Self::Versions(versions.map(|etag| etag.version).collect())
        }
    }

    /// Whether a product that is there is so.
    pub fn holds(&self, product: &Product) -> bool {
        match self {
            Self::None | Self::Exists => true,
            Self::Versions(versions) => versions.contains(&product.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_they_are_written() {
        let etag = Etag {
            version: 3,
            revision: 17,
        };
        assert_eq!(etag.to_string(), "3.17");
        assert_eq!("3.17".parse(), Ok(etag));
        for text in [
            "",
            "3",
            "3.",
            ".17",
            "03.17",
            "+3.17",
            "3.17.1",
            "W/\"3.17\"",
            "a.b",
        ] {
            assert_eq!(text.parse::<Etag>(), Err(NoEtag), "{text}");
        }
    }

    #[test]
    fn lists_of_tags() {
        let of = |tags: &[&str]| {
            let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
            Precondition::of(&tags)
        };
        assert_eq!(of(&[]), Precondition::None);
        assert_eq!(of(&["*"]), Precondition::Exists);
        assert_eq!(of(&["1.1", "3.9"]), Precondition::Versions(vec![1, 3]));
        assert_eq!(of(&["another"]), Precondition::Versions(vec![]));
    }
}
