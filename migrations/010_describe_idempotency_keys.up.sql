-- Says what two columns are. A database that came to 011 before this was written has no need of it.
COMMENT ON COLUMN idempotency_keys.rpc IS 'Such as catalog.v1.CatalogService/CreateProduct';
COMMENT ON COLUMN idempotency_keys.created_at IS 'When the answer was given; it is kept for idempotency.ttl';
