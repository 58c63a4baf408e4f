COMMENT ON COLUMN idempotency_keys.rpc IS NULL;
COMMENT ON COLUMN idempotency_keys.created_at IS NULL;
