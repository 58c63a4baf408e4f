-- Forgets the answers: a call that comes again is made again.
DROP TABLE IF EXISTS idempotency_keys;
