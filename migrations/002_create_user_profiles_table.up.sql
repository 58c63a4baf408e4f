-- Extended user information, at most one row per user.

CREATE TABLE user_profiles (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    avatar_url VARCHAR(500),
    bio TEXT,
    date_of_birth DATE,
    gender VARCHAR(20) CHECK (gender IN ('male', 'female', 'other', 'prefer_not_to_say')),
    country_code VARCHAR(2),
    timezone VARCHAR(50),
    language_code VARCHAR(5) DEFAULT 'en',
    notification_preferences JSONB DEFAULT '{}',
    privacy_settings JSONB DEFAULT '{}',
    created_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT NOW()
);

CREATE UNIQUE INDEX idx_user_profiles_user_id ON user_profiles(user_id);
CREATE INDEX idx_user_profiles_country_code ON user_profiles(country_code);
CREATE INDEX idx_user_profiles_created_at ON user_profiles(created_at);

COMMENT ON TABLE user_profiles IS 'Extended user profile information';
COMMENT ON COLUMN user_profiles.user_id IS 'The user this profile belongs to; deleted with it';
COMMENT ON COLUMN user_profiles.notification_preferences IS 'JSON object containing user notification preferences';
COMMENT ON COLUMN user_profiles.privacy_settings IS 'JSON object containing user privacy settings';
