-- Drops the table with its indexes, constraints and comments.
DROP TABLE IF EXISTS user_profiles CASCADE;
