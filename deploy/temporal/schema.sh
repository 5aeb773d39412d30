#!/bin/sh
# Create Temporal's two databases, or bring them to this version. Safe to run again.
set -eu

prepare() {
    database="$1"
    versions="$2"
    run() { temporal-sql-tool --plugin "$SQL_PLUGIN" --endpoint "$SQL_HOST" --port "$SQL_PORT" --user "$SQL_USER" --database "$database" "$@"; }
    # The first two fail if they were done before. If they fail for another reason, the third one fails too.
    run create-database || true
    run setup-schema --version 0.0 || true
    run update-schema --schema-dir "/etc/temporal/schema/postgresql/v12/$versions/versioned"
}

prepare temporal temporal
prepare temporal_visibility visibility
