"""The tables of a replicated log in PostgreSQL, and the one function by which a leader appends."""

from __future__ import annotations

from typing import Final

__all__ = ["APPEND", "TABLES", "VERSION"]

VERSION: Final = 1
"""Of the tables and the function; a node refuses another one."""

TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS microrollup;
CREATE TABLE IF NOT EXISTS microrollup.about (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), version int NOT NULL, rollup_id bytea NOT NULL);
CREATE TABLE IF NOT EXISTS microrollup.leader (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), epoch bigint NOT NULL, node text NOT NULL, url text NOT NULL);
CREATE TABLE IF NOT EXISTS microrollup.lease (
    one boolean PRIMARY KEY DEFAULT true CHECK (one), renewed_at timestamptz, successor text,
    asked_at timestamptz);
CREATE TABLE IF NOT EXISTS microrollup.log (
    number bigint PRIMARY KEY, epoch bigint NOT NULL, chain bytea NOT NULL, record bytea NOT NULL, header bytea);
CREATE TABLE IF NOT EXISTS microrollup.node (
    node text PRIMARY KEY, url text NOT NULL, taken bigint NOT NULL, seen_at timestamptz NOT NULL);
CREATE TABLE IF NOT EXISTS microrollup.noop (one boolean PRIMARY KEY DEFAULT true CHECK (one), count bigint NOT NULL);
CREATE TABLE IF NOT EXISTS microrollup.signed (
    verifier bytea, rollup_id bytea, height bigint, block_hash bytea NOT NULL,
    PRIMARY KEY (verifier, rollup_id, height));
INSERT INTO microrollup.leader VALUES (true, 0, '', '') ON CONFLICT DO NOTHING;
INSERT INTO microrollup.lease VALUES (true, NULL, NULL, NULL) ON CONFLICT DO NOTHING;
INSERT INTO microrollup.noop VALUES (true, 0) ON CONFLICT DO NOTHING;
"""
"""`one` keeps a table to one row; `renewed_at` is null for a lease that was given back."""

APPEND: Final = """
CREATE OR REPLACE FUNCTION microrollup.append(
    a_epoch bigint, a_node text, a_number bigint, a_chain bytea, a_chains bytea[], a_records bytea[], a_header bytea,
    single_copy boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    led record;
    last record;
BEGIN
    IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
        RETURN 'weak synchronous_commit';
    END IF;
    IF NOT single_copy AND current_setting('synchronous_standby_names') = '' THEN
        RETURN 'weak synchronous_standby_names';
    END IF;
    SELECT epoch, node INTO led FROM microrollup.leader FOR SHARE;
    IF led.epoch <> a_epoch OR led.node <> a_node THEN
        RETURN 'fenced ' || led.epoch || ' ' || led.node;
    END IF;
    SELECT number, chain INTO last FROM microrollup.log ORDER BY number DESC LIMIT 1;
    IF last.number IS DISTINCT FROM a_number - 1 OR last.chain IS DISTINCT FROM a_chain THEN
        RETURN 'moved ' || coalesce(last.number + 1, 0);
    END IF;
    INSERT INTO microrollup.log
        SELECT a_number + place - 1, a_epoch, chain, record,
            CASE WHEN place = cardinality(a_records) THEN a_header END
        FROM unnest(a_chains, a_records) WITH ORDINALITY AS given(chain, record, place);
    RETURN 'appended';
END $$;
"""
"""The row of the leader is locked FOR SHARE to the end of the transaction, which waits for the second copy: raising the
epoch updates that row, so it waits for appends that run, and every later one finds the new epoch. The settings are read
at each append, since they may be changed while a session lives."""
