"""What a person's override holds for."""

from __future__ import annotations

from enum import StrEnum


class OverrideScope(StrEnum):
    """`OCCURRENCE` is one meeting, `SERIES` all occurrences of a recurring one."""

    OCCURRENCE = "occurrence"
    SERIES = "series"
