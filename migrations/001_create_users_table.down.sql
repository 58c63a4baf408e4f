-- Drops the table with its indexes, constraints and comments.
DROP TABLE IF EXISTS users CASCADE;
