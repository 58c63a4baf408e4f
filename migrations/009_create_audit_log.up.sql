-- Who did what, for those who must be able to tell later. The record of a change is written by the statement that makes
-- the change; reads that are audited and calls that were refused are added after them.

CREATE TABLE audit_log (
    id UUID NOT NULL,
    time TIMESTAMP WITH TIME ZONE NOT NULL,
    request_id VARCHAR(200) NOT NULL,
    trace_id VARCHAR(32),
    actor VARCHAR(500),
    scopes TEXT[] NOT NULL,
    peer INET,
    user_agent VARCHAR(500),
    rpc VARCHAR(200) NOT NULL,
    resource VARCHAR(500),
    outcome VARCHAR(50) NOT NULL,
    fields TEXT[] NOT NULL,
    duration_us BIGINT NOT NULL,

    PRIMARY KEY (time, id)
);

CREATE INDEX idx_audit_log_actor ON audit_log(actor, time);
CREATE INDEX idx_audit_log_resource ON audit_log(resource, time);

-- Records are added and, when their time is over, removed by prune_audit_log; nothing else is done to them. This keeps off
-- mistakes. Whoever owns the table can drop the trigger: give the service a role that does not, where that matters.
CREATE FUNCTION audit_log_is_append_only() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('audit_log.pruning', TRUE) = 'on' THEN
        RETURN NULL;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();

-- Removes records of before a time, at most so many, and gives their number.
CREATE FUNCTION prune_audit_log(before TIMESTAMP WITH TIME ZONE, most INTEGER) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    pruned BIGINT;
BEGIN
    PERFORM set_config('audit_log.pruning', 'on', TRUE);
    DELETE FROM audit_log WHERE (time, id) IN (
        SELECT old.time, old.id FROM audit_log AS old WHERE old.time < before ORDER BY old.time LIMIT most);
    GET DIAGNOSTICS pruned = ROW_COUNT;
    PERFORM set_config('audit_log.pruning', 'off', TRUE);
    RETURN pruned;
END
$$;

COMMENT ON TABLE audit_log IS 'Calls that changed something, were refused or, where that is configured, read; append-only';
COMMENT ON COLUMN audit_log.id IS 'That of the event, where the call changed something';
COMMENT ON COLUMN audit_log.time IS 'When the call came';
COMMENT ON COLUMN audit_log.actor IS 'Subject of the caller''s token; NULL when it is not known who called';
COMMENT ON COLUMN audit_log.scopes IS 'What the caller''s token allows';
COMMENT ON COLUMN audit_log.peer IS 'Address the call came from';
COMMENT ON COLUMN audit_log.rpc IS 'Such as catalog.v1.CatalogService/UpdateProduct';
COMMENT ON COLUMN audit_log.resource IS 'What the call is about, as the caller named it';
COMMENT ON COLUMN audit_log.outcome IS 'Name of the gRPC code; OK for a success';
COMMENT ON COLUMN audit_log.fields IS 'Names of the fields that changed; never their values';
COMMENT ON COLUMN audit_log.duration_us IS 'Microseconds until the call ended, or until it made its change';
COMMENT ON FUNCTION prune_audit_log(TIMESTAMP WITH TIME ZONE, INTEGER) IS 'Removes records of before a time, at most so many; the only way to remove any';
COMMENT ON FUNCTION audit_log_is_append_only() IS 'Refuses what would change or remove records, but for prune_audit_log';
