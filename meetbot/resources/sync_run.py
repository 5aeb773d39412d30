"""A reading of a calendar as customers see it."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from meetbot.domain.sync_run import SyncTrigger
from meetbot.resources.base import OneOf, Resource
from meetbot.storage.sync_runs import RunEntry


class SyncRunResource(Resource):
    """One sync of a calendar, or several within an hour that came to the same."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "at": "2026-11-28T09:02:11Z",
                    "last_at": "2026-11-28T09:57:11Z",
                    "runs": 12,
                    "result": "unchanged",
                    "trigger": "poll",
                    "milliseconds": 310,
                    "seen": None,
                    "changed": 0,
                    "removed": 0,
                }
            ]
        }
    )

    at: datetime = Field(description="When it began; of several the first one.")
    last_at: datetime = Field(description="When the last of them began.")
    runs: int = Field(description="How many syncs this stands for.")
    result: str = Field(
        description="`unchanged`, `changed`, or the code of what failed or was left out, as the calendar user's "
        "`error_code`. Syncs that found nothing new are counted by the hour."
    )
    trigger: Annotated[str, OneOf(SyncTrigger)] = Field(
        description="What set it off: its time (`poll`), a notification of the provider (`push`), a person (`manual`) or other "
        "rules (`rules`; then only stored events were decided again)."
    )
    milliseconds: int = Field(description="How long the slowest of them took.")
    seen: int | None = Field(description="How many events the calendar listed; null if that is not kept.")
    changed: int = Field(description="How many events were new, different, or decided differently.")
    removed: int = Field(description="How many events had left the calendar.")


def sync_run_resource(entry: RunEntry) -> SyncRunResource:
    """Return the resource of an entry."""
    return SyncRunResource.model_validate(dataclasses.asdict(entry))
