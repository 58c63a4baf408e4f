-- Fills the table of products, for measurements: as many as `seed.products` says, in 20 categories and 8 warehouses,
-- every 50th deleted. About 600 bytes of attributes each, ids as the service makes them, one in a millisecond.
--
--     SET seed.products = 1000000;
--     \i benches/seed.sql

INSERT INTO products (id, sku, name, description, category, brand, attributes, warehouse_id, price_amount, currency,
                      status, created_at, updated_at, deleted_at)
SELECT overlay(overlay(gen_random_uuid()::text PLACING substr(millisecond, 1, 8) || '-' || substr(millisecond, 9) FROM 1)
               PLACING '7' FROM 15)::uuid,
       'SEED-' || n,
       'Product ' || n || ' of the seed, with a name of usual length',
       'What is to be said of product ' || n || ': ' || repeat('it is as good as the one before. ', 4),
       CASE WHEN n % 100 < 97 THEN 'category-' || n % 20 END,
       'brand-' || n % 500,
       jsonb_build_object(
           'color', (ARRAY['red', 'green', 'blue', 'silver', 'black'])[1 + n % 5],
           'weight', n % 1000 / 10.0,
           'dimensions', jsonb_build_object('height', n % 200, 'width', n % 300, 'depth', n % 70),
           'tags', jsonb_build_array('new', 'sale', 'tag-' || n % 40),
           'serial', md5(n::text) || md5((n + 1)::text),
           'notes', repeat(md5((n + 2)::text), 11)),
       'WH' || lpad((n % 8 + 1)::text, 3, '0'),
       (n % 100000) / 100.0,
       'USD',
       (ARRAY['active', 'active', 'active', 'inactive'])[1 + n % 4],
       moment, moment,
       CASE WHEN n % 50 = 0 THEN moment END
  FROM generate_series(1, current_setting('seed.products')::integer) AS n,
       LATERAL (SELECT timestamptz '2025-01-01 00:00Z' + n * interval '1 millisecond') AS of_time(moment),
       LATERAL (SELECT lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')) AS of_id(millisecond);

SELECT recount_products();

-- Nobody searches for them here, and to index a million takes minutes: `catalog-service search reindex` does it.
UPDATE product_search_position SET unread_below = NULL;

VACUUM ANALYZE products;
