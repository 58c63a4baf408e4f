-- Events that were not published yet are lost.
DROP TABLE IF EXISTS outbox_refused;
DROP TABLE IF EXISTS outbox_relay;
DROP TABLE IF EXISTS outbox;
