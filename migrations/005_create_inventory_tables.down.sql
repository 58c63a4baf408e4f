-- What is known of the stock is lost, until the warehouses tell it again.
DELETE FROM outbox WHERE topic IS NULL;
ALTER TABLE outbox
    DROP CONSTRAINT outbox_message_check,
    ALTER COLUMN payload SET NOT NULL,
    ALTER COLUMN event_type SET NOT NULL,
    ALTER COLUMN topic SET NOT NULL,
    DROP COLUMN product_revision;
COMMENT ON COLUMN outbox.topic IS NULL;
ALTER TABLE products
    DROP CONSTRAINT products_stock_check,
    DROP COLUMN revision,
    DROP COLUMN stock_available,
    DROP COLUMN stock_reserved,
    DROP COLUMN stock_quantity;
DROP TABLE IF EXISTS inbox_refused;
DROP TABLE IF EXISTS inbox;
DROP TABLE IF EXISTS inventory;
