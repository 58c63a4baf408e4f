-- How many products each list shows, so that no request has to count them.
--
-- Writers never touch the counts, where they would wait for each other. A count is what the table says as of a position
-- in the outbox, and the changes after that position; from time to time the table and its position move on.

CREATE TABLE product_counts (
    category VARCHAR(100) NOT NULL,
    warehouse_id VARCHAR(50) NOT NULL,
    total BIGINT NOT NULL,

    PRIMARY KEY (category, warehouse_id)
);

CREATE TABLE product_counts_position (
    id BOOLEAN PRIMARY KEY DEFAULT TRUE,
    after PG_SNAPSHOT NOT NULL,

    CONSTRAINT product_counts_position_one_row_check CHECK (id)
);

INSERT INTO product_counts_position (after) SELECT pg_current_snapshot();

-- Counts all products anew, also those that were written by hand. Nobody changes products meanwhile.
CREATE FUNCTION recount_products() RETURNS void LANGUAGE plpgsql
    -- Not as requests do it, which are to use an index whatever it costs.
    SET enable_seqscan = on
    SET plan_cache_mode = auto
AS $$
DECLARE
    own BIGINT := pg_current_xact_id()::text::bigint;
    seen PG_SNAPSHOT;
    open BIGINT[];
BEGIN
    PERFORM FROM product_counts_position FOR UPDATE;
    LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM product_counts;
    INSERT INTO product_counts (category, warehouse_id, total)
    SELECT coalesce(category, ''), coalesce(warehouse_id, ''), count(*)
      FROM products
     WHERE deleted_at IS NULL
     GROUP BY CUBE (category, warehouse_id)
    HAVING (grouping(category) = 1 OR category <> '')
       AND (grouping(warehouse_id) = 1 OR warehouse_id <> '');
    -- What is visible now, and this transaction itself, which may have numbered events of the outbox anew.
    seen := pg_current_snapshot();
    open := ARRAY(
        SELECT xid FROM (
            SELECT pg_snapshot_xip(seen)::text::bigint
             UNION
            SELECT generate_series(pg_snapshot_xmax(seen)::text::bigint, own - 1)) AS t(xid)
         WHERE xid <> own ORDER BY xid);
    UPDATE product_counts_position
       SET after = format('%s:%s:%s', pg_snapshot_xmin(seen),
                          greatest(pg_snapshot_xmax(seen)::text::bigint, own + 1),
                          array_to_string(open, ','))::pg_snapshot;
END
$$;

-- For pages of any depth without the rows before them: the list of all products, and of a category in a warehouse.
CREATE INDEX idx_products_listed ON products(id DESC) WHERE deleted_at IS NULL;
CREATE INDEX idx_products_category_warehouse ON products(category, warehouse_id, id DESC) WHERE deleted_at IS NULL;

COMMENT ON TABLE product_counts IS 'Products that are not deleted, as of product_counts_position and as far as the outbox tells of changes';
COMMENT ON COLUMN product_counts.category IS 'Empty for all products, whatever their category';
COMMENT ON COLUMN product_counts.warehouse_id IS 'Empty for all products, wherever they are';
COMMENT ON TABLE product_counts_position IS 'What the counts hold; its one row is locked by the one that moves them on';
COMMENT ON COLUMN product_counts_position.after IS 'The changes that are visible in this snapshot';
COMMENT ON FUNCTION recount_products IS 'Counts all products anew, also those that were written by hand';

SELECT recount_products();
