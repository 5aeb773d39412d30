"""The README names every setting, command and target that exists, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined
from typer.testing import CliRunner

from meetbot.cli import app
from meetbot.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def documented_settings() -> dict[str, str]:
    """Variable name to the default that the table shows."""
    return {match[1]: match[2].strip() for match in re.finditer(r"^\| `([A-Z_]+)` \| ([^|]*) \|", README, re.MULTILINE)}


def declared_settings() -> dict[str, object]:
    return {
        str(field.validation_alias or f"MEETBOT_{name.upper()}"): field.default
        for name, field in Settings.model_fields.items()
    }


def test_the_configuration_table_names_exactly_the_settings() -> None:
    assert set(documented_settings()) == set(declared_settings())


@pytest.mark.parametrize("variable", sorted(declared_settings()))
def test_the_configuration_table_shows_the_default(variable: str) -> None:
    default, shown = declared_settings()[variable], documented_settings()[variable]
    if default is None or default is PydanticUndefined:
        assert shown.startswith("unset")
    elif default == ():
        assert shown == "empty"
    else:
        assert shown == f"`{default}`"


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in set(re.findall(r"`make (\w+)`|\$ make (\w+)", README)):
        name = next(filter(None, target))
        assert re.search(rf"^{name}:", makefile, re.MULTILINE), name


def test_ci_calls_only_targets_of_the_readme() -> None:
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    targets = [line.removeprefix("make ").strip() for line in lines if line.startswith("make ")]
    assert targets
    assert all(f"make {target}" in README for target in targets)


@pytest.mark.parametrize("command", ["dev", "doctor", "links", "tenants create", "db upgrade", "rules evaluate"])
def test_every_command_exists_and_explains_itself(command: str) -> None:
    assert f"meetbot {command}" in README or f"make {command}" in README
    answer = CliRunner().invoke(app, [*command.split(), "--help"])
    assert answer.exit_code == 0
    assert "Usage" in answer.output


def test_every_page_that_the_readme_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
