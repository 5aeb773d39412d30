#!/bin/sh
# Register the namespace and the search attributes by which operators find workflows. Safe to run again.
# Uses TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE as the temporal command does.
set -eu

attempts=30
until temporal operator cluster health >/dev/null 2>&1; do
    attempts=$((attempts - 1))
    if [ "$attempts" -eq 0 ]; then
        echo "Temporal at $TEMPORAL_ADDRESS does not become healthy" >&2
        exit 1
    fi
    sleep 2
done

if ! temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1; then
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
fi

is_known() {
    temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE" | grep -qw "$1"
}

# The server sees a new or changed namespace only after some seconds, so this asks until the attribute is there.
for attribute in TenantId CalendarUserId CalendarProvider MeetbotState; do
    attempts=30
    until is_known "$attribute"; do
        attempts=$((attempts - 1))
        if [ "$attempts" -eq 0 ]; then
            echo "the search attribute $attribute cannot be registered" >&2
            exit 1
        fi
        temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --name "$attribute" --type Keyword ||
            sleep 1
    done
done
