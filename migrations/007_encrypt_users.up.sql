-- Users whose personal data is encrypted by the service, their roles, and their sessions.
--
-- The keys are not in the database: what is stored in plain text can't be encrypted here. The service never wrote to
-- these tables before, so that there should be nothing.
DO $$
BEGIN
    IF EXISTS (SELECT FROM users) THEN
        RAISE EXCEPTION 'users holds personal data in plain text, which a migration has no key to encrypt'
            USING HINT = 'Move the rows elsewhere, migrate, and create the users anew by catalog-service users create or CreateUser.';
    END IF;
END
$$;

DROP INDEX idx_users_email;
ALTER TABLE users
    DROP CONSTRAINT users_email_key,
    ALTER COLUMN email TYPE BYTEA USING convert_to(email, 'UTF8'),
    ALTER COLUMN first_name TYPE BYTEA USING convert_to(first_name, 'UTF8'),
    ALTER COLUMN last_name TYPE BYTEA USING convert_to(last_name, 'UTF8'),
    ALTER COLUMN phone TYPE BYTEA USING convert_to(phone, 'UTF8'),
    ALTER COLUMN last_login_ip TYPE BYTEA USING convert_to(host(last_login_ip), 'UTF8'),
    ALTER COLUMN failed_login_attempts SET NOT NULL,
    ALTER COLUMN status SET NOT NULL,
    ALTER COLUMN created_at SET NOT NULL,
    ALTER COLUMN updated_at SET NOT NULL,
    ADD COLUMN email_index BYTEA NOT NULL,
    ADD COLUMN roles TEXT[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT users_email_index_check CHECK (octet_length(email_index) = 32);

CREATE UNIQUE INDEX idx_users_email_index ON users(email_index) WHERE deleted_at IS NULL;

COMMENT ON COLUMN users.email IS 'E-mail address, encrypted: 1, length and id of the key, nonce, AES-256-GCM of the text';
COMMENT ON COLUMN users.email_index IS 'HMAC-SHA-256 of the e-mail address in small letters, to find it by';
COMMENT ON COLUMN users.first_name IS 'Encrypted as email is';
COMMENT ON COLUMN users.last_name IS 'Encrypted as email is';
COMMENT ON COLUMN users.phone IS 'Encrypted as email is';
COMMENT ON COLUMN users.last_login_ip IS 'Encrypted as email is';
COMMENT ON COLUMN users.roles IS 'Names of roles; the configuration says what they grant';

CREATE TABLE sessions (
    id UUID PRIMARY KEY,
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revoked_at TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_sessions_user_id ON sessions(user_id);
CREATE INDEX idx_sessions_expires_at ON sessions(expires_at);

CREATE TABLE refresh_tokens (
    token_hash BYTEA PRIMARY KEY,
    session_id UUID NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE
);

CREATE INDEX idx_refresh_tokens_session_id ON refresh_tokens(session_id);
CREATE INDEX idx_refresh_tokens_expires_at ON refresh_tokens(expires_at);

COMMENT ON TABLE sessions IS 'From a sign-in on: the refresh tokens of a session are one family';
COMMENT ON COLUMN sessions.expires_at IS 'End of its last refresh token';
COMMENT ON COLUMN sessions.revoked_at IS 'Since when none of its tokens is good: signed out, or a token came twice';
COMMENT ON TABLE refresh_tokens IS 'Refresh tokens until they expire, also those that were used';
COMMENT ON COLUMN refresh_tokens.token_hash IS 'SHA-256 of the token, which is stored nowhere';
COMMENT ON COLUMN refresh_tokens.used_at IS 'When it was exchanged for the next one; it is good once';
