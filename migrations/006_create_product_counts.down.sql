-- The counts can be made anew from the products.
DROP INDEX IF EXISTS idx_products_category_warehouse;
DROP INDEX IF EXISTS idx_products_listed;
DROP FUNCTION IF EXISTS recount_products();
DROP TABLE IF EXISTS product_counts_position;
DROP TABLE IF EXISTS product_counts;
