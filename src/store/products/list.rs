//! Lists of products.

use sqlx::postgres::PgConnection;

use super::row::SummaryRow;
use crate::domain::{Category, ListQuery, Warehouse};

/// A page and the total of a filter. Each filter has statements of its own, so that each has a
/// plan of its own; the inner select pages over the index and only the rows of the page are read
/// in full. An array, not a join: for a join the generic plan of a prepared statement expects a
/// tenth of the table and reads all of it.
macro_rules! select_page {
    ($connection:expr, $query:expr, $filter:literal $(, $argument:expr)*) => {{
        let total = sqlx::query_scalar!(
            r#"SELECT count(*) AS "total!" FROM products WHERE deleted_at IS NULL"# + $filter
            $(, $argument)*
        )
        .fetch_one(&mut *$connection)
        .await?;
        if total <= $query.offset() {
            (total, Vec::new())
        } else {
            let rows = select_page!(@rows $filter $(, $argument)*; $query)
                .fetch_all(&mut *$connection)
                .await?;
            (total, rows)
        }
    }};
    (@rows $filter:literal; $query:expr) => {
        select_page!(@sql $filter, "ORDER BY id DESC LIMIT $1 OFFSET $2";
            i64::from($query.limit()), $query.offset())
    };
    (@rows $filter:literal, $a:expr; $query:expr) => {
        select_page!(@sql $filter, "ORDER BY id DESC LIMIT $2 OFFSET $3";
            $a, i64::from($query.limit()), $query.offset())
    };
    (@rows $filter:literal, $a:expr, $b:expr; $query:expr) => {
        select_page!(@sql $filter, "ORDER BY id DESC LIMIT $3 OFFSET $4";
            $a, $b, i64::from($query.limit()), $query.offset())
    };
    (@sql $filter:literal, $paging:literal; $($argument:expr),+) => {
        sqlx::query_as!(
            SummaryRow,
            "SELECT id, sku, name, category, warehouse_id, price_amount, currency,
                    created_at, updated_at
               FROM products
               WHERE id = ANY(ARRAY(SELECT id FROM products WHERE deleted_at IS NULL" + $filter + " "
            + $paging + ")) ORDER BY id DESC",
            $($argument),+
        )
    };
}

/// The total of a filter and the rows of a page.
pub(super) async fn page(
    connection: &mut PgConnection,
    query: &ListQuery,
) -> sqlx::Result<(i64, Vec<SummaryRow>)> {
    let category = query.category().map(Category::as_str);
    let warehouse = query.warehouse().map(Warehouse::as_str);
    Ok(match (category, warehouse) {
        (None, None) => select_page!(connection, query, ""),
        (Some(category), None) => {
            select_page!(connection, query, " AND category = $1", category)
        }
        (None, Some(warehouse)) => {
            select_page!(connection, query, " AND warehouse_id = $1", warehouse)
        }
        (Some(category), Some(warehouse)) => select_page!(
            connection,
            query,
            " AND category = $1 AND warehouse_id = $2",
            category,
            warehouse
        ),
    })
}
