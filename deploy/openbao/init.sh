#!/bin/sh
# Initialise OpenBao once and keep its root token and recovery key in BOOTSTRAP_FILE. Safe to run again.
# After `python -m meetbot.vault.setup` has used the token, revoke it and move that file to a safe place.
set -eu
umask 077

attempts=30
while :; do
    # 0: initialised and unsealed, 2: not initialised or sealed, 1: not reachable.
    code=0
    bao status >/dev/null 2>&1 || code=$?
    [ "$code" -ne 1 ] && break
    attempts=$((attempts - 1))
    if [ "$attempts" -eq 0 ]; then
        echo "OpenBao at $BAO_ADDR cannot be reached" >&2
        exit 1
    fi
    sleep 1
done

if ! bao operator init -status >/dev/null 2>&1; then
    bao operator init -recovery-shares=1 -recovery-threshold=1 -format=json >"$BOOTSTRAP_FILE.new"
    mv "$BOOTSTRAP_FILE.new" "$BOOTSTRAP_FILE"
fi
