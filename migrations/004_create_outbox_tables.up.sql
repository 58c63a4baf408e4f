-- The events of changes, written by the statement that makes the change, and how far they were published.
--
-- Readers do not follow a counter: a number that was taken first may be committed last, and a reader that went past it
-- would miss it. They follow snapshots: "visible now and not in the snapshot I stopped at" misses nothing, whatever the
-- order of commits, and waits for nobody.

CREATE TABLE outbox (
    xid XID8 NOT NULL DEFAULT pg_current_xact_id(),
    seq BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY,
    id UUID NOT NULL,
    topic VARCHAR(200) NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    product_id UUID NOT NULL,
    product_version INTEGER NOT NULL,
    listed_before BOOLEAN NOT NULL,
    listed_after BOOLEAN NOT NULL,
    old_category VARCHAR(100),
    old_warehouse_id VARCHAR(50),
    category VARCHAR(100),
    warehouse_id VARCHAR(50),
    payload JSON NOT NULL,
    traceparent VARCHAR(55),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,

    PRIMARY KEY (xid, seq)
);

-- One row: where publishing stands. The relay that holds its lock is the one that publishes.
CREATE TABLE outbox_relay (
    id BOOLEAN PRIMARY KEY DEFAULT TRUE,
    after PG_SNAPSHOT NOT NULL,
    upto PG_SNAPSHOT NOT NULL,
    xid XID8 NOT NULL,
    seq BIGINT NOT NULL,
    pruned XID8 NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE,

    CONSTRAINT outbox_relay_one_row_check CHECK (id)
);

INSERT INTO outbox_relay (after, upto, xid, seq, pruned)
SELECT s, s, pg_snapshot_xmin(s), 0, '0' FROM pg_current_snapshot() AS s;

-- Events that the broker refused, and the later ones of the same products, which wait behind them.
CREATE TABLE outbox_refused (
    id UUID PRIMARY KEY,
    xid XID8 NOT NULL,
    seq BIGINT NOT NULL,
    topic VARCHAR(200) NOT NULL,
    event_type VARCHAR(100) NOT NULL,
    product_id UUID NOT NULL,
    payload JSON NOT NULL,
    traceparent VARCHAR(55),
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_error TEXT,
    parked_at TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_outbox_refused_waiting ON outbox_refused(product_id, xid, seq) WHERE parked_at IS NULL;

COMMENT ON TABLE outbox IS 'Events of changes in the order of transactions; kept for a time after they were published';
COMMENT ON COLUMN outbox.xid IS 'The transaction that made the change';
COMMENT ON COLUMN outbox.id IS 'Identifier of the event, evt_ outside';
COMMENT ON COLUMN outbox.product_version IS 'Version of the product after the change';
COMMENT ON COLUMN outbox.listed_before IS 'Whether lists showed the product before the change; then old_category and old_warehouse_id say where';
COMMENT ON COLUMN outbox.listed_after IS 'Whether lists show the product after the change; then category and warehouse_id say where';
COMMENT ON COLUMN outbox.payload IS 'The event as it is published';
COMMENT ON COLUMN outbox.traceparent IS 'W3C trace context of the request that made the change';
COMMENT ON TABLE outbox_relay IS 'How far the outbox was published; its one row is locked by the relay that publishes';
COMMENT ON COLUMN outbox_relay.after IS 'All that is visible in this snapshot was published';
COMMENT ON COLUMN outbox_relay.upto IS 'Publishing is on its way to this snapshot; equal to after when it is there';
COMMENT ON COLUMN outbox_relay.xid IS 'With seq: the last event on that way';
COMMENT ON COLUMN outbox_relay.pruned IS 'Greatest xid of the events that were removed';
COMMENT ON TABLE outbox_refused IS 'Events the broker refused, tried again until they are parked';
COMMENT ON COLUMN outbox_refused.attempts IS 'How often publishing was tried; 0 for an event that waits behind another';
COMMENT ON COLUMN outbox_refused.parked_at IS 'When publishing was given up, until an operator asks for it again';
