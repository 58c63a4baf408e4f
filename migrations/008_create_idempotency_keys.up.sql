-- Answers to calls that brought an Idempotency-Key, to be given again when they come again. Each is written in one
-- statement with the change that it tells of. Old ones are removed from time to time.
CREATE TABLE idempotency_keys (
    id BYTEA NOT NULL,
    rpc TEXT NOT NULL,
    request BYTEA NOT NULL,
    code SMALLINT NOT NULL,
    message TEXT NOT NULL,
    body BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,

    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (id)
);

CREATE INDEX idx_idempotency_keys_created_at ON idempotency_keys(created_at);

COMMENT ON TABLE idempotency_keys IS 'Answers to calls with an Idempotency-Key';
COMMENT ON COLUMN idempotency_keys.id IS 'SHA-256 of caller, RPC and key';
COMMENT ON COLUMN idempotency_keys.request IS 'SHA-256 of the request message';
COMMENT ON COLUMN idempotency_keys.code IS 'gRPC code of the answer, 0 for a success';
COMMENT ON COLUMN idempotency_keys.message IS 'Message of an error';
COMMENT ON COLUMN idempotency_keys.body IS 'The response message, or the details of an error, in Protobuf';
