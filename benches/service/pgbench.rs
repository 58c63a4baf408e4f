//! pgbench, with the same SQL.

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

/// The same row every time, which is the easiest for the server: transactions per second.
pub(crate) fn by_id(url: &str, folder: &Path, id: Uuid, time: Duration) -> f64 {
    run(
        url,
        &folder.join("by-id.sql"),
        BY_ID,
        &format!("id={id}"),
        time,
    )
}

/// Transactions per second.
pub(crate) fn create(url: &str, folder: &Path, time: Duration) -> f64 {
    run(url, &folder.join("create.sql"), CREATE, "none=0", time)
}

fn run(url: &str, file: &Path, script: &str, variable: &str, time: Duration) -> f64 {
    std::fs::write(file, script).unwrap();
    let programs = Command::new("pg_config").arg("--bindir").output().unwrap();
    let program = Path::new(String::from_utf8(programs.stdout).unwrap().trim()).join("pgbench");
    let output = Command::new(program)
        .args(["-M", "prepared", "-n", "-c", "16", "-j", "2", "-T"])
        .arg(time.as_secs().to_string())
        .args(["-D", variable, "-f"])
        .args([file.as_os_str(), url.as_ref()])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let tps = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}
