"""The table of calendar cases names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| (\d+) \| [^|]+ \| (.+) \|$", re.MULTILINE)


def test_every_case_has_a_test_that_exists() -> None:
    rows = dict(_ROW.findall((_ROOT / "docs/calendar-cases.md").read_text(encoding="utf-8")))
    numbers = {int(number) for number in rows}
    assert numbers >= set(range(1, 94))
    missing = [
        (number, test)
        for number, tests in rows.items()
        for test in re.findall(r"`([^`]+)`", tests)
        if not _exists(test)
    ]
    assert missing == []


def _exists(test: str) -> bool:
    path, _, name = test.partition("::")
    file = _ROOT / path
    return (
        file.is_file()
        and re.search(rf"^(async )?def {name}\(", file.read_text(encoding="utf-8"), re.MULTILINE) is not None
    )
