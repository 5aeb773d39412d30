#!/bin/sh
# Run once, by the PostgreSQL image, on an empty data directory. Neither role is a superuser; the application's is
# subject to row level security.
set -eu

psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname=postgres \
    --set=meetbot_password="$MEETBOT_DATABASE_PASSWORD" \
    --set=temporal_password="$TEMPORAL_DATABASE_PASSWORD" <<'SQL'
CREATE ROLE meetbot LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD :'meetbot_password';
CREATE DATABASE meetbot OWNER meetbot;
REVOKE ALL ON DATABASE meetbot FROM PUBLIC;
CREATE ROLE temporal LOGIN NOSUPERUSER NOBYPASSRLS CREATEDB NOCREATEROLE PASSWORD :'temporal_password';
SQL
