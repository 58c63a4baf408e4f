//! Searches: the matches that the index tells of, the best of them, and a page of these, in one statement.

use sqlx::postgres::PgConnection;

use super::list::ListRow;
use super::{PgProducts, list, read};
use crate::domain::error::Result;
use crate::domain::{Category, Page, ProductSearch, SearchQuery, Warehouse};
use crate::store::error::from_sqlx;
use crate::telemetry::query::Query;

static SEARCH: Query = Query::new("products.search");

/// How many matches are compared at most, in no order of theirs: it takes some hundredths of a second.
const COMPARED: i64 = 10_000;

impl ProductSearch for PgProducts {
    async fn search(&self, query: &SearchQuery) -> Result<Page> {
        let rows =
            read!(self.connections, connection => SEARCH.run(Box::pin(select(connection, query))));
        list::page(query.list(), rows.map_err(from_sqlx)?)
    }
}

/// The total and the products of a page. Of words that match alike a whole one is better than the beginning of another.
///
/// The parser makes the words, so that nothing of the text is an operator; without one there is nothing to match. All
/// work is bounded but the reading of the index, which for a word that all products have takes the time of reading as
/// many numbers. The products are read in a subselect of their own for each: for a join the generic plan may read all.
async fn select(connection: &mut PgConnection, query: &SearchQuery) -> sqlx::Result<Vec<ListRow>> {
    let list = query.list();
    sqlx::query_as!(
        ListRow,
        r#"WITH words AS MATERIALIZED (
               SELECT plainto_tsquery('pg_catalog.simple', search_words($1)) AS whole
           ), query AS MATERIALIZED (
               SELECT whole, CASE WHEN numnode(whole) > 0 THEN (whole::text || ':*')::tsquery END AS begun FROM words
           ), found AS MATERIALIZED (
               SELECT product_id, ts_rank(document, (SELECT begun FROM query)) + ts_rank(document, (SELECT whole FROM query)) AS rank
                 FROM product_search
                WHERE document @@ (SELECT CASE WHEN $2::text IS NULL THEN begun ELSE begun && $2::text::tsquery END FROM query)
                LIMIT $3
           ), best AS MATERIALIZED (
               SELECT product_id, rank FROM found ORDER BY rank DESC, product_id DESC LIMIT $4
           )
           SELECT counted.total AS "total!", page.id AS "id?", sku AS "sku?", name AS "name?", category AS "category?",
                  warehouse_id AS "warehouse_id?", price_amount AS "price_amount?", currency AS "currency?",
                  created_at AS "created_at?", updated_at AS "updated_at?"
             FROM (SELECT count(*) AS total FROM best) AS counted
             LEFT JOIN (SELECT place.rank, product.*
                          FROM (SELECT product_id, rank FROM best
                                 ORDER BY rank DESC, product_id DESC LIMIT $5 OFFSET $6) AS place,
                               LATERAL (SELECT id, sku, name, category, warehouse_id, price_amount, currency, created_at, updated_at
                                          FROM products
                                         WHERE id = place.product_id AND deleted_at IS NULL LIMIT 1) AS product
                       ) AS page ON TRUE
            ORDER BY page.rank DESC, page.id DESC"#,
        query.text().as_str(),
        filter(query),
        COMPARED,
        SearchQuery::MAX_TOTAL,
        i64::from(list.limit()),
        list.offset(),
    )
    .fetch_all(connection)
    .await
}

/// The filters as a query for what stands in documents for them.
fn filter(query: &SearchQuery) -> Option<String> {
    let list = query.list();
    let category = list.category().map(Category::as_str);
    let warehouse = list.warehouse().map(Warehouse::as_str);
    let parts: Vec<_> = [('=', category), ('@', warehouse)]
        .into_iter()
        .filter_map(|(kind, text)| Some(lexeme(kind, text?)))
        .collect();
    (!parts.is_empty()).then(|| parts.join(" & "))
}

/// A lexeme as the notation of queries has it, whatever its text.
fn lexeme(kind: char, text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('\'', "''");
    format!("'{kind}{text}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_filter_is_an_operator() {
        let query = |category, warehouse| {
            let query = SearchQuery::parse(1, "x", None, None, category, warehouse);
            filter(&query.unwrap())
        };
        assert_eq!(query(None, None), None);
        assert_eq!(query(Some("a b"), None).unwrap(), "'=a b'");
        assert_eq!(
            query(Some(r"'a\' | b:*"), Some("W1")).unwrap(),
            r"'=''a\\'' | b:*' & '@W1'"
        );
    }
}
