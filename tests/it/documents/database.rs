//! docs/database/README.md says what the migrations make. `make schema` writes it.

use std::fmt::Write as _;

use sqlx::{PgPool, Row as _};

use super::root;
use crate::support::postgres::migrated;

const FILE: &str = "docs/database/README.md";

const HEAD: &str = "\
# Database schema

What [migrations/](../../migrations/README.md) make of an empty database, with the comments that they keep there. Written by
`make schema`; a test fails when it is stale.

";

/// A line of text for each row, from the columns of the row.
async fn lines(pool: &PgPool, sql: &'static str, table: &str) -> Vec<Vec<String>> {
    let rows = sqlx::query(sql).bind(table).fetch_all(pool).await;
    let rows = rows.expect("rows").into_iter();
    rows.map(|row| (0..row.len()).map(|at| row.get::<String, _>(at)).collect())
        .collect()
}

const TABLES: &str = "
    SELECT c.relname::text, coalesce(obj_description(c.oid), '')
      FROM pg_class AS c
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relname LIKE $1
     ORDER BY c.relname";

const COLUMNS: &str = "
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod),
           CASE WHEN a.attnotnull THEN 'no' ELSE 'yes' END,
           CASE WHEN a.attidentity <> '' THEN 'counts by itself' ELSE coalesce(pg_get_expr(d.adbin, d.adrelid), '') END,
           coalesce(col_description(a.attrelid, a.attnum), '')
      FROM pg_attribute AS a
      LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
     ORDER BY a.attnum";

const CONSTRAINTS: &str = "
    SELECT conname::text, pg_get_constraintdef(oid)
      FROM pg_constraint
     WHERE conrelid = $1::regclass AND contype IN ('p', 'u', 'f', 'c', 'x')
     ORDER BY array_position(ARRAY['p', 'u', 'f', 'c', 'x'], contype::text), conname";

/// But for those that carry a constraint.
const INDEXES: &str = "
    SELECT c.relname::text,
           CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END
             || regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING btree ', '')
      FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
     WHERE i.indrelid = $1::regclass
       AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND conrelid = i.indrelid)
     ORDER BY c.relname";

const FUNCTIONS: &str = "
    SELECT p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')', coalesce(obj_description(p.oid), '')
      FROM pg_proc AS p
     WHERE p.pronamespace = 'public'::regnamespace AND p.proname LIKE $1
     ORDER BY 1";

/// A cell of a table of Markdown.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{}`", cell(text))
    }
}

async fn page(pool: &PgPool) -> String {
    let mut page = HEAD.to_owned();
    for table in lines(pool, TABLES, "%").await {
        let (name, comment) = (&table[0], &table[1]);
        let about = match name.as_str() {
            // It is made by the tool.
            "schema_migrations" => "The version of the schema, as golang-migrate keeps it",
            _ => comment,
        };
        assert!(!about.is_empty(), "the table {name} has no comment");
        let _ = writeln!(page, "## {name}\n\n{about}.\n");
        page += "| column | type | NULL | default | what |\n| --- | --- | --- | --- | --- |\n";
        for column in lines(pool, COLUMNS, name).await {
            let [name, kind, null, default, what] = &column[..] else {
                panic!("five columns");
            };
            let default = if default.contains(' ') && !default.contains('(') {
                default.clone()
            } else {
                code(default)
            };
            let row = [code(name), code(kind), null.clone(), default, cell(what)];
            let row = row.iter().map(|it| {
                if it.is_empty() {
                    " |".to_owned()
                } else {
                    format!(" {it} |")
                }
            });
            let _ = writeln!(page, "|{}", row.collect::<String>());
        }
        page.push('\n');
        let lists = [
            ("Constraints", lines(pool, CONSTRAINTS, name).await),
            ("Indexes", lines(pool, INDEXES, name).await),
        ];
        for (title, lines) in lists.iter().filter(|(_, lines)| !lines.is_empty()) {
            let _ = writeln!(page, "{title}:\n");
            for line in lines {
                let _ = writeln!(page, "- `{}`: `{}`", line[0], line[1]);
            }
            page.push('\n');
        }
    }
    page += "## Functions\n\n| function | what |\n| --- | --- |\n";
    for function in lines(pool, FUNCTIONS, "%").await {
        let _ = writeln!(page, "| {} | {} |", code(&function[0]), cell(&function[1]));
    }
    page
}

#[tokio::test]
async fn the_schema_is_described_as_it_is() {
    let (_database, pool) = migrated().await;
    let page = page(&pool).await;
    let file = root().join(FILE);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(&file, &page).expect("written");
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "{FILE} is stale: make schema writes it anew"
    );
}
