//! Search: what is searched for, and among which products.

use super::error::{Error, FieldViolation, Result};
use super::list::ListQuery;
use super::value::SearchText;

/// Which products to find.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchQuery {
    text: SearchText,
    list: ListQuery,
}

impl SearchQuery {
    /// How many matches all pages have at most.
    pub const MAX_TOTAL: i64 = 1000;

    /// Takes what the caller gave, or says all that is wrong with it; `most` is how many items a page may have, as for
    /// a [list](ListQuery::parse).
    pub fn parse(
        most: i32,
        text: &str,
        page: Option<i32>,
        limit: Option<i32>,
        category: Option<&str>,
        warehouse: Option<&str>,
    ) -> Result<Self> {
        let text = SearchText::parse(text);
        let list = ListQuery::parse(most, page, limit, category, warehouse, None);
        match (text, list) {
            (Ok(text), Ok(list)) => Ok(Self { text, list }),
            (Ok(_), Err(error)) => Err(error),
            (Err(message), list) => {
                let mut violations = vec![FieldViolation::new("q", message)];
                if let Err(Error::InvalidParameters(others)) = list {
                    violations.extend(others);
                }
                Err(Error::InvalidParameters(violations))
            }
        }
    }

    /// The words, as the caller wrote them.
    pub const fn text(&self) -> &SearchText {
        &self.text
    }

    /// Among which products, and which page of those that match.
    pub const fn list(&self) -> &ListQuery {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str, limit: Option<i32>) -> Vec<(String, String)> {
        match SearchQuery::parse(50, text, None, limit, None, None) {
            Ok(_) => Vec::new(),
            Err(Error::InvalidParameters(violations)) => violations
                .into_iter()
                .map(|violation| (violation.field, violation.message))
                .collect(),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[test]
    fn a_search_has_a_word() {
        for text in ["x", "7", "-ß-", "ноутбук", "電", &"x".repeat(200)] {
            assert_eq!(fields(text, None), [], "{text}");
        }
        let length = "Must be 1 to 200 characters long";
        let letter = "Must contain a letter or a digit";
        for (text, message) in [
            ("", length),
            (&*"x".repeat(201), length),
            ("x\0", "Must not contain a null character"),
            (" -&|!:*() ", letter),
            ("🙂", letter),
        ] {
            assert_eq!(
                fields(text, None),
                [("q".to_owned(), message.to_owned())],
                "{text}"
            );
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let all: Vec<_> = fields("?", Some(51))
            .into_iter()
            .map(|(field, _)| field)
            .collect();
        assert_eq!(all, ["q", "limit"]);
    }
}
