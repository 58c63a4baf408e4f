//! pgbench, with the same SQL.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use uuid::Uuid;

/// What a lookup by id asks.
const BY_ID: &str = "SELECT id, sku, name, description, category, brand, attributes, warehouse_id, status, price_amount, \
                     currency, version, created_at, updated_at, stock_quantity, stock_reserved, stock_available, \
                     revision FROM products WHERE deleted_at IS NULL AND id = :id;\n";

/// What a create would be in a transaction of four statements.
const CREATE: &str = r#"\set n random(1, 9000000000000000)
BEGIN;
INSERT INTO products (id, sku, name, description, category, brand, attributes, warehouse_id, status, price_amount,
    currency)
    VALUES (gen_random_uuid(), 'PGBENCH-' || :n, 'Product', repeat('0', 200), 'category-4', 'brand',
        '{"color":"Silver","storage":"512GB SSD","ram":16}', 'WH001', 'active', 12.5, 'USD');
INSERT INTO outbox (id, topic, event_type, product_id, product_version, product_revision, payload, created_at,
    listed_before, listed_after, category, warehouse_id)
    VALUES (gen_random_uuid(), 'catalog.product.created', 'ProductCreated', gen_random_uuid(), 1, 1,
        '{"eventId":"evt_01hm6xkqz0e8s8a3kq5w2v9t4d","eventType":"ProductCreated","version":"1.0","data":{"productId":"prod_01hm6xkqz0e8s8a3kq5w2v9t4c","sku":"LAPTOP-001","name":"Gaming Laptop","category":"category-4","warehouse":"WH001","createdBy":"user_456"}}',
        now(), FALSE, TRUE, 'category-4', 'WH001');
COMMIT;
"#;

/// Some rows by turns, a script for each, as a variable of pgbench can't be a list: transactions per second.
pub(crate) fn by_id(url: &str, folder: &Path, ids: &[Uuid], time: Duration) -> f64 {
    let scripts = ids
        .iter()
        .map(|id| BY_ID.replace(":id", &format!("'{id}'")));
    run(url, folder, scripts, time)
}

/// Transactions per second.
pub(crate) fn create(url: &str, folder: &Path, time: Duration) -> f64 {
    run(url, folder, [CREATE.to_owned()], time)
}

fn run(url: &str, folder: &Path, scripts: impl IntoIterator<Item = String>, time: Duration) -> f64 {
    let files: Vec<_> = (0..)
        .zip(scripts)
        .map(|(number, script)| {
            let file = folder.join(format!("pgbench-{number}.sql"));
            std::fs::write(&file, script).unwrap();
            file
        })
        .collect();
    let programs = Command::new("pg_config").arg("--bindir").output().unwrap();
    let program = Path::new(String::from_utf8(programs.stdout).unwrap().trim()).join("pgbench");
    let output = Command::new(program)
        .args(["-M", "prepared", "-n", "-c", "16", "-j", "2", "-T"])
        .arg(time.as_secs().to_string())
        .args(
            files
                .iter()
                .flat_map(|file| [OsStr::new("-f"), file.as_os_str()]),
        )
        .arg(url)
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let tps = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}
