//! Lists of products: a page and the total, in one statement and so of one moment.

use rust_decimal::Decimal;
use sqlx::postgres::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::row::SummaryRow;
use crate::domain::error::Result;
use crate::domain::{Category, ListQuery, Page, Warehouse};

/// The total, and a product when there is one.
pub(super) struct ListRow {
    pub(super) total: i64,
    pub(super) id: Option<Uuid>,
    pub(super) sku: Option<String>,
    pub(super) name: Option<String>,
    pub(super) category: Option<String>,
    pub(super) warehouse_id: Option<String>,
    pub(super) price_amount: Option<Decimal>,
    pub(super) currency: Option<String>,
    pub(super) created_at: Option<OffsetDateTime>,
    pub(super) updated_at: Option<OffsetDateTime>,
}

impl ListRow {
    fn into_row(self) -> Option<SummaryRow> {
        Some(SummaryRow {
            id: self.id?,
            sku: self.sku?,
            name: self.name?,
            category: self.category,
            warehouse_id: self.warehouse_id,
            price_amount: self.price_amount,
            currency: self.currency,
            created_at: self.created_at?,
            updated_at: self.updated_at?,
        })
    }
}

/// A page of a filter and its total. Each filter has statements of its own, so that each has a plan of its own; the
/// inner select pages over an index alone and only the rows of the page are read in full. An array, not a join: for a
/// join the generic plan of a prepared statement expects a tenth of the table and reads all of it.
///
/// The total is what `product_counts` says and the changes after its position: those of later transactions, and of the
/// ones that were under way then.
macro_rules! select_list {
    ([$counts:literal, $entered:literal, $left:literal], [$($ids:literal),+], $($argument:expr),+) => {
        sqlx::query_as!(
            ListRow,
            "WITH counted AS (
                 SELECT coalesce((SELECT total FROM product_counts WHERE " + $counts + "), 0)
                        + count(*) FILTER (WHERE listed_after" + $entered + ")
                        - count(*) FILTER (WHERE listed_before" + $left + ") AS total
                   FROM (SELECT listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id
                           FROM outbox
                          WHERE xid >= (SELECT pg_snapshot_xmax(after) FROM product_counts_position WHERE id)
                         UNION ALL
                         SELECT listed_before, listed_after, old_category, old_warehouse_id, category, warehouse_id
                           FROM outbox
                          WHERE xid = ANY(ARRAY(SELECT pg_snapshot_xip(after) FROM product_counts_position WHERE id))
                        ) AS moved
             )
             SELECT counted.total AS \"total!\", page.id AS \"id?\", sku AS \"sku?\", name AS \"name?\",
                    page.category AS \"category?\", page.warehouse_id AS \"warehouse_id?\",
                    price_amount AS \"price_amount?\", currency AS \"currency?\",
                    created_at AS \"created_at?\", updated_at AS \"updated_at?\"
               FROM counted
               LEFT JOIN (SELECT id, sku, name, category, warehouse_id, price_amount, currency, created_at, updated_at
                            FROM products WHERE id = ANY(" $(+ $ids)+ + ")) AS page ON TRUE
              ORDER BY page.id DESC",
            $($argument),+
        )
    };
}

/// A page by its number, from the nearer end of the list. Near its beginning that is not left to the total, which does
/// not know of products that were written by hand.
macro_rules! select_numbered {
    ($counted:tt, $filter:literal, [$($argument:expr),*], $limit:literal = $count:expr, $offset:literal = $skip:expr) => {
        select_list!(
            $counted,
            [
                "ARRAY(SELECT id FROM products WHERE deleted_at IS NULL", $filter, " ORDER BY id DESC
                        LIMIT (SELECT CASE WHEN ", $offset, "::bigint <= 1000 OR 2 * ", $offset, " < total
                                           THEN ", $limit, "::bigint ELSE 0 END FROM counted)
                       OFFSET ", $offset, ")
                 || ARRAY(SELECT id FROM products WHERE deleted_at IS NULL", $filter, " ORDER BY id
                           LIMIT (SELECT CASE WHEN ", $offset, " <= 1000 OR 2 * ", $offset, " < total
                                              THEN 0 ELSE greatest(least(", $limit, ", total - ", $offset, "), 0) END
                                    FROM counted)
                          OFFSET (SELECT greatest(total - ", $offset, " - ", $limit, ", 0) FROM counted))"
            ],
            $($argument,)* $count, $skip
        )
    };
}

/// A page after a product.
macro_rules! select_after {
    ($counted:tt, $filter:literal, [$($argument:expr),*], $limit:literal = $count:expr, $last:literal = $id:expr) => {
        select_list!(
            $counted,
            [
                "ARRAY(SELECT id FROM products WHERE deleted_at IS NULL", $filter, " AND id < ", $last, "
                        ORDER BY id DESC LIMIT ", $limit, "::bigint)"
            ],
            $($argument,)* $count, $id
        )
    };
}

/// Both kinds of page of a filter.
macro_rules! select_page {
    ($connection:expr, $query:expr, $counted:tt, $filter:literal, $arguments:tt, $limit:literal, $start:literal) => {{
        // One more tells whether there is a next page.
        let count = i64::from($query.limit()) + 1;
        if let Some(last) = $query.after() {
            select_after!(
                $counted,
                $filter,
                $arguments,
                $limit = count,
                $start = last.uuid()
            )
            .fetch_all($connection)
            .await
        } else {
            select_numbered!(
                $counted,
                $filter,
                $arguments,
                $limit = count,
                $start = $query.offset()
            )
            .fetch_all($connection)
            .await
        }
    }};
}

/// The total and the products of a page, and one more when there is a next page.
pub(super) async fn select(
    connection: &mut PgConnection,
    query: &ListQuery,
) -> sqlx::Result<Vec<ListRow>> {
    let category = query.category().map(Category::as_str);
    let warehouse = query.warehouse().map(Warehouse::as_str);
    match (category, warehouse) {
        (None, None) => select_page!(
            connection,
            query,
            ["category = '' AND warehouse_id = ''", "", ""],
            "",
            [],
            "$1",
            "$2"
        ),
        (Some(category), None) => select_page!(
            connection,
            query,
            [
                "category = $1 AND warehouse_id = ''",
                " AND category = $1",
                " AND old_category = $1"
            ],
            " AND category = $1",
            [category],
            "$2",
            "$3"
        ),
        (None, Some(warehouse)) => select_page!(
            connection,
            query,
            [
                "category = '' AND warehouse_id = $1",
                " AND warehouse_id = $1",
                " AND old_warehouse_id = $1"
            ],
            " AND warehouse_id = $1",
            [warehouse],
            "$2",
            "$3"
        ),
        (Some(category), Some(warehouse)) => select_page!(
            connection,
            query,
            [
                "category = $1 AND warehouse_id = $2",
                " AND category = $1 AND warehouse_id = $2",
                " AND old_category = $1 AND old_warehouse_id = $2"
            ],
            " AND category = $1 AND warehouse_id = $2",
            [category, warehouse],
            "$3",
            "$4"
        ),
    }
}

/// What was selected, as a page.
pub(super) fn page(query: &ListQuery, rows: Vec<ListRow>) -> Result<Page> {
    let total = rows.first().map_or(0, |row| row.total);
    let limit = usize::try_from(query.limit()).unwrap_or_default();
    let mut rows = rows.into_iter().filter_map(ListRow::into_row);
    let items: Vec<_> = rows
        .by_ref()
        .take(limit)
        .map(SummaryRow::into_summary)
        .collect::<Result<_>>()?;
    let last = items.last().filter(|_| rows.next().is_some());
    let next = last.map(|last| query.next_token(last.id));
    Ok(Page { items, total, next })
}
