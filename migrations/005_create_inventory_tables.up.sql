-- What is in stock: what the warehouses say, per warehouse, and its totals beside each product.

CREATE TABLE inventory (
    product_id UUID NOT NULL,
    warehouse_id VARCHAR(50) NOT NULL,
    quantity INTEGER NOT NULL,
    reserved INTEGER NOT NULL,
    available INTEGER NOT NULL,
    event_time TIMESTAMP WITH TIME ZONE NOT NULL,
    event_id VARCHAR(255) COLLATE "C" NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),

    PRIMARY KEY (product_id, warehouse_id),
    CONSTRAINT inventory_product_id_fkey FOREIGN KEY (product_id) REFERENCES products(id) ON DELETE CASCADE,
    CONSTRAINT inventory_quantity_check CHECK (quantity >= 0),
    CONSTRAINT inventory_reserved_check CHECK (reserved >= 0)
);

-- Events that were handled: one that comes again is known by it. Old ones are removed from time to time.
CREATE TABLE inbox (
    source VARCHAR(255) NOT NULL,
    event_id VARCHAR(255) NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),

    PRIMARY KEY (source, event_id)
);

CREATE INDEX idx_inbox_received_at ON inbox(received_at);

-- Events that could not be handled, and why: a broker's dead letter topic does not say it.
CREATE TABLE inbox_refused (
    id UUID PRIMARY KEY,
    topic VARCHAR(200) NOT NULL,
    reason TEXT NOT NULL,
    event BYTEA NOT NULL,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

CREATE INDEX idx_inbox_refused_received_at ON inbox_refused(received_at);

ALTER TABLE products
    ADD COLUMN stock_quantity BIGINT,
    ADD COLUMN stock_reserved BIGINT,
    ADD COLUMN stock_available BIGINT,
    ADD COLUMN revision INTEGER NOT NULL DEFAULT 1,
    ADD CONSTRAINT products_stock_check CHECK (num_nulls(stock_quantity, stock_reserved, stock_available) IN (0, 3));

-- A change that is not published has no topic; it is written for those who follow the changes of products, such as the
-- caches of all instances. The default is for an instance of an earlier version that still writes.
ALTER TABLE outbox
    ADD COLUMN product_revision INTEGER NOT NULL DEFAULT 0,
    ALTER COLUMN topic DROP NOT NULL,
    ALTER COLUMN event_type DROP NOT NULL,
    ALTER COLUMN payload DROP NOT NULL,
    ADD CONSTRAINT outbox_message_check CHECK (num_nulls(topic, event_type, payload) IN (0, 3));

COMMENT ON TABLE inventory IS 'Stock of products per warehouse, as the latest event of each says';
COMMENT ON COLUMN inventory.warehouse_id IS 'Code of the warehouse';
COMMENT ON COLUMN inventory.available IS 'What can be sold, as the event said; below 0 when more is reserved than is there';
COMMENT ON COLUMN inventory.event_time IS 'With event_id: the order of events, of which the greatest stays';
COMMENT ON COLUMN inventory.event_id IS 'Identifier of the event that the row is of';
COMMENT ON COLUMN inventory.updated_at IS 'When the event was handled here';
COMMENT ON TABLE inbox IS 'Events that were handled, so that none is handled twice';
COMMENT ON COLUMN inbox.source IS 'Who sent the event: its identifier is unique there only';
COMMENT ON TABLE inbox_refused IS 'Events that went to the dead letter topic, each with the reason; kept for a month';
COMMENT ON COLUMN inbox_refused.event IS 'The event as it came, with its envelope';
COMMENT ON COLUMN products.stock_quantity IS 'Pieces in all warehouses; NULL, as the other two, until one has told';
COMMENT ON COLUMN products.stock_reserved IS 'How many of them are reserved';
COMMENT ON COLUMN products.stock_available IS 'How many can be sold';
COMMENT ON COLUMN products.revision IS 'Counts everything readers can see change, version and stock; of two rows the greater is newer';
COMMENT ON COLUMN outbox.topic IS 'Where the event is published; NULL, as event_type and payload, when it is for this service only';
COMMENT ON COLUMN outbox.product_revision IS 'Revision of the product after the change';
