#!/bin/sh
# Run once, by the PostgreSQL image, on an empty data directory. No role is a superuser or above row level security. The owner
# has the schema; each kind of process has a login of its own (`meetbot db upgrade` gives it its rights).
set -eu

psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=owner_password="$MEETBOT_OWNER_PASSWORD" \
    --set=api_password="$MEETBOT_API_PASSWORD" \
    --set=worker_password="$MEETBOT_WORKER_PASSWORD" \
    --set=relay_password="$MEETBOT_RELAY_PASSWORD" \
    --set=dba_password="$MEETBOT_DBA_PASSWORD" \
    --set=temporal_password="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE meetbot LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'owner_password';
CREATE ROLE meetbot_api LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'api_password';
CREATE ROLE meetbot_worker LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'worker_password';
CREATE ROLE meetbot_relay LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'relay_password';
CREATE ROLE meetbot_dba LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD :'dba_password';
GRANT meetbot_relay TO meetbot WITH INHERIT FALSE, SET TRUE, ADMIN FALSE;
GRANT meetbot_relay TO meetbot_worker WITH INHERIT FALSE, SET TRUE, ADMIN FALSE;
CREATE DATABASE meetbot OWNER meetbot;
REVOKE ALL ON DATABASE meetbot FROM PUBLIC;
GRANT CONNECT ON DATABASE meetbot TO meetbot_api, meetbot_worker, meetbot_relay, meetbot_dba;
CREATE ROLE temporal LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB NOCREATEROLE PASSWORD :'temporal_password';
SQL
