-- What products are found by, and how far that has followed the outbox.
--
-- Writers never touch it: from time to time one instance takes in what has changed, as it does for product_counts. The
-- first time, and after events were removed that it had not read, it goes through all products, the newest first.

CREATE TABLE product_search (
    product_id UUID PRIMARY KEY,
    document TSVECTOR NOT NULL,

    CONSTRAINT product_search_product_id_fkey FOREIGN KEY (product_id) REFERENCES products(id) ON DELETE CASCADE
);

CREATE INDEX idx_product_search_document ON product_search USING GIN (document);

CREATE TABLE product_search_position (
    id BOOLEAN PRIMARY KEY DEFAULT TRUE,
    after PG_SNAPSHOT NOT NULL,
    upto PG_SNAPSHOT,
    xid XID8,
    seq BIGINT,
    unread_below UUID,

    CONSTRAINT product_search_position_one_row_check CHECK (id),
    CONSTRAINT product_search_position_way_check CHECK (num_nulls(upto, xid, seq) IN (0, 3))
);

INSERT INTO product_search_position (after, unread_below)
SELECT pg_current_snapshot(), 'ffffffff-ffff-ffff-ffff-ffffffffffff';

-- Text of which the parser makes plain words: it would take what punctuation joins for one, such as LAPTOP-001. Words
-- that are searched for go the same way.
CREATE FUNCTION search_words(text TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT regexp_replace(text, '[!-/:-@\[-`{-~]+', ' ', 'g')
$$;

-- A change of this function is to set unread_below again, so that all documents are made anew. Texts are cut: a document
-- has room for a megabyte.
CREATE FUNCTION search_document(product products) RETURNS TSVECTOR LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT setweight(to_tsvector('pg_catalog.simple', search_words(product.sku || ' ' || product.name)), 'A')
        || setweight(to_tsvector('pg_catalog.simple', search_words(concat_ws(' ', product.brand, product.category))), 'B')
        || setweight(to_tsvector('pg_catalog.simple', search_words(left(coalesce(product.description, ''), 20000))), 'C')
        || setweight(to_tsvector('pg_catalog.simple', search_words(left(coalesce((
               SELECT string_agg(value #>> '{}', ' ')
                 FROM jsonb_path_query(product.attributes, 'strict $.** ? (@.type() == "string")') AS value
           ), ''), 20000))), 'D')
        || array_to_tsvector(array_remove(ARRAY['=' || product.category, '@' || product.warehouse_id], NULL))
$$;

COMMENT ON TABLE product_search IS 'The words of products that are not deleted; seconds behind the products at most while it is kept';
COMMENT ON COLUMN product_search.document IS 'SKU and name with weight A, brand and category B, description C, texts of attributes D; without a weight =category and @warehouse, which no word is like';
COMMENT ON TABLE product_search_position IS 'What product_search holds; its one row is locked by the one that moves it on';
COMMENT ON COLUMN product_search_position.after IS 'The changes that are visible in this snapshot were taken in';
COMMENT ON COLUMN product_search_position.upto IS 'Reading is on its way to this snapshot; NULL, as xid and seq, when it is on none';
COMMENT ON COLUMN product_search_position.xid IS 'With seq: the last event on that way';
COMMENT ON COLUMN product_search_position.unread_below IS 'The products with ids below this one are still to be gone through; NULL when all were';
COMMENT ON FUNCTION search_words IS 'Text without the punctuation of ASCII';
COMMENT ON FUNCTION search_document IS 'The document of a product';
