-- Sessions are lost. Users are not: what is encrypted can't be turned back into text here.
DO $$
BEGIN
    IF EXISTS (SELECT FROM users) THEN
        RAISE EXCEPTION 'users holds encrypted data, which a migration has no key to decrypt'
            USING HINT = 'Delete the users first.';
    END IF;
END
$$;

DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP INDEX idx_users_email_index;
ALTER TABLE users
    DROP CONSTRAINT users_email_index_check,
    DROP COLUMN roles,
    DROP COLUMN email_index,
    ALTER COLUMN updated_at DROP NOT NULL,
    ALTER COLUMN created_at DROP NOT NULL,
    ALTER COLUMN status DROP NOT NULL,
    ALTER COLUMN failed_login_attempts DROP NOT NULL,
    ALTER COLUMN last_login_ip TYPE INET USING convert_from(last_login_ip, 'UTF8')::inet,
    ALTER COLUMN phone TYPE VARCHAR(20) USING convert_from(phone, 'UTF8'),
    ALTER COLUMN last_name TYPE VARCHAR(100) USING convert_from(last_name, 'UTF8'),
    ALTER COLUMN first_name TYPE VARCHAR(100) USING convert_from(first_name, 'UTF8'),
    ALTER COLUMN email TYPE VARCHAR(255) USING convert_from(email, 'UTF8'),
    ADD CONSTRAINT users_email_key UNIQUE (email);
CREATE INDEX idx_users_email ON users(email) WHERE deleted_at IS NULL;
COMMENT ON COLUMN users.email IS 'User email address, must be unique and verified';
COMMENT ON COLUMN users.first_name IS NULL;
COMMENT ON COLUMN users.last_name IS NULL;
COMMENT ON COLUMN users.phone IS NULL;
COMMENT ON COLUMN users.last_login_ip IS NULL;
