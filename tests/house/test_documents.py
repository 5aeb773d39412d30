"""What documents say of files: links lead somewhere, named files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs" / "decisions"
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")
_NAMED_FILE = re.compile(
    r"`((?:api|activities|workflows|meetbot|sandbox|tests|bench|deploy)/[\w./-]+\.(?:py|toml|json))`"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = _LINK.findall(page.read_text(encoding="utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_exist(page: Path) -> None:
    names = _NAMED_FILE.findall(page.read_text(encoding="utf-8"))

    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_index_of_decisions_lists_each_page_with_its_title() -> None:
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    titles = {
        page.name: page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        for page in DECISIONS.glob("0*.md")
    }

    assert [name for name, title in sorted(titles.items()) if f"[{title}]({name})" not in index] == []
