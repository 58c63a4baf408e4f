//! Lists of products: which are asked for, and how their pages go on.

use uuid::Uuid;

use super::error::{Error, FieldViolation, Result};
use super::id::ProductId;
use super::product::ProductSummary;
use super::value::{Category, Warehouse};

/// Which products to list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ListQuery {
    page: i32,
    after: Option<ProductId>,
    limit: i32,
    category: Option<Category>,
    warehouse: Option<Warehouse>,
}

impl ListQuery {
    /// Items of a page when the caller does not say.
    pub const DEFAULT_LIMIT: i32 = 20;
    /// Most items of a page.
    pub const MAX_LIMIT: i32 = 100;

    /// Takes what the caller gave, or says all that is wrong with it; `most` is how many items a page may have, 1 to
    /// [`MAX_LIMIT`](Self::MAX_LIMIT).
    pub fn parse(
        most: i32,
        page: Option<i32>,
        limit: Option<i32>,
        category: Option<&str>,
        warehouse: Option<&str>,
        page_token: Option<&str>,
    ) -> Result<Self> {
        let mut violations = Vec::new();
        let mut refuse =
            |field: &str, message: String| violations.push(FieldViolation::new(field, message));
        if page.is_some_and(|page| page < 1) {
            refuse("page", "Must be at least 1".to_owned());
        }
        let limit = limit.unwrap_or(Self::DEFAULT_LIMIT.min(most));
        if !(1..=most).contains(&limit) {
            refuse("limit", format!("Must be between 1 and {most}"));
        }
        let category = category.and_then(|text| {
            Category::parse(text)
                .map_err(|message| refuse("category", message))
                .ok()
        });
        let warehouse = warehouse.and_then(|text| {
            Warehouse::parse(text)
                .map_err(|message| refuse("warehouse", message))
                .ok()
        });
        let mut query = Self {
            page: page.unwrap_or(1),
            after: None,
            limit,
            category,
            warehouse,
        };
        if let Some(text) = page_token {
            if page.is_some() {
                for field in ["page", "page_token"] {
                    refuse(
                        field,
                        "Must not be given together with the other".to_owned(),
                    );
                }
            } else if let Some(token) = query.read_token(text) {
                (query.page, query.after) = (token.page, Some(token.after));
            } else {
                let message = "Must be the token of an earlier page of the same list";
                refuse("page_token", message.to_owned());
            }
        }
        if violations.is_empty() {
            Ok(query)
        } else {
            Err(Error::InvalidParameters(violations))
        }
    }

    /// Number of the page, from 1. On the way by tokens it counts from the page where that way began.
    pub const fn page(&self) -> i32 {
        self.page
    }

    /// The last product of the page before, when the caller came by its token: the page begins after it, wherever that
    /// is by now.
    pub const fn after(&self) -> Option<ProductId> {
        self.after
    }

    /// Most items of the page, 1 to 100.
    pub const fn limit(&self) -> i32 {
        self.limit
    }

    /// How many items come before the page, unless [`after`](Self::after) says where it begins.
    pub fn offset(&self) -> i64 {
        (i64::from(self.page) - 1) * i64::from(self.limit)
    }

    /// Only products of this category.
    pub const fn category(&self) -> Option<&Category> {
        self.category.as_ref()
    }

    /// Only products of this warehouse.
    pub const fn warehouse(&self) -> Option<&Warehouse> {
        self.warehouse.as_ref()
    }

    /// The token of the page that begins after a product, the last one of this page.
    pub fn next_token(&self, last: ProductId) -> String {
        let token = Token {
            page: self.page.saturating_add(1),
            after: last,
        };
        token.write(self.filter())
    }

    fn read_token(&self, text: &str) -> Option<Token> {
        let token = Token::read(text)?;
        // Against the one way to write it: so the digits are checked with what they stand for.
        (token.write(self.filter()) == text).then_some(token)
    }

    /// What a token is bound to: neither part can be taken for the other or for its absence.
    fn filter(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        for part in [
            self.category().map(Category::as_str),
            self.warehouse().map(Warehouse::as_str),
        ] {
            hash.update(&[u8::from(part.is_some())]);
            hash.update(part.unwrap_or_default().as_bytes());
            hash.update(&[0]);
        }
        hash.finalize()
    }
}

/// Where a page begins, as the caller keeps it: 48 hexadecimal digits.
#[derive(Debug)]
struct Token {
    page: i32,
    after: ProductId,
}

impl Token {
    fn write(&self, filter: u32) -> String {
        let (page, after) = (self.page, self.after.uuid().simple());
        let mut check = crc32fast::Hasher::new();
        check.update(&filter.to_be_bytes());
        check.update(&page.to_be_bytes());
        check.update(after.as_uuid().as_bytes());
        format!("{:08x}{page:08x}{after}", check.finalize())
    }

    /// What a text says, whatever it is bound to.
    fn read(text: &str) -> Option<Self> {
        let (page, after) = (text.get(8..16)?, text.get(16..48)?);
        let page = i32::from_str_radix(page, 16)
            .ok()
            .filter(|&page| page > 1)?;
        let after = Uuid::try_parse(after).ok()?;
        Some(Self {
            page,
            after: ProductId::new(after),
        })
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The products of the page: of a list the newest first, of a search the best.
    pub items: Vec<ProductSummary>,
    /// Products in all pages.
    pub total: i64,
    /// Token of the next page; none when there is none.
    pub next: Option<String>,
}

impl Page {
    /// Number of pages of `limit` items.
    pub fn pages(&self, limit: i32) -> i64 {
        let limit = i64::from(limit.max(1));
        self.total / limit + i64::from(self.total % limit != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn query(
        category: Option<&str>,
        warehouse: Option<&str>,
        token: Option<&str>,
    ) -> Result<ListQuery> {
        ListQuery::parse(ListQuery::MAX_LIMIT, None, None, category, warehouse, token)
    }

    #[test]
    fn a_token_holds_for_its_list_only() {
        let filters = [
            (None, None),
            (Some("a"), None),
            (None, Some("a")),
            (Some("a"), Some("b")),
            (Some("b"), Some("a")),
            (Some("ab"), None),
        ];
        let id = ProductId::new(Uuid::from_u128(7));
        for made in filters {
            let token = query(made.0, made.1, None).expect("a query").next_token(id);
            for used in filters {
                let read = query(used.0, used.1, Some(&token));
                if used == made {
                    let read = read.expect("its own list");
                    assert_eq!((read.page(), read.after()), (2, Some(id)));
                } else {
                    assert!(
                        matches!(&read, Err(Error::InvalidParameters(v)) if v[0].field == "page_token"),
                        "{made:?} {used:?} {read:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_page_is_named_in_one_way() {
        let token = query(None, None, None)
            .expect("a query")
            .next_token(ProductId::new(Uuid::nil()));
        let error = ListQuery::parse(
            ListQuery::MAX_LIMIT,
            Some(2),
            Some(0),
            None,
            None,
            Some(&token),
        )
        .expect_err("both");
        let Error::InvalidParameters(violations) = error else {
            panic!("{error:?}")
        };
        let fields: Vec<_> = violations.iter().map(|v| v.field.as_str()).collect();
        assert_eq!(fields, ["limit", "page", "page_token"]);
    }

    proptest! {
        #[test]
        fn a_token_that_was_changed_is_refused(bits: u128, place in 0_usize..48, digit in "[0-9a-gA-Z]") {
            let first = query(Some("a"), None, None).expect("a query");
            let id = ProductId::new(Uuid::from_u128(bits));
            let token = first.next_token(id);
            prop_assert_eq!(query(Some("a"), None, Some(&token)).expect("as made").after(), Some(id));
            let mut changed = token.clone();
            changed.replace_range(place..=place, &digit);
            prop_assert_eq!(query(Some("a"), None, Some(&changed)).is_ok(), changed == token);
        }

        #[test]
        fn no_text_is_taken_amiss(text in "\\PC*") {
            prop_assert!(query(None, None, Some(&text)).is_err());
        }
    }
}
