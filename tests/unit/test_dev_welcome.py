"""The page of addresses with which the development stack greets."""

from __future__ import annotations

from pathlib import Path

import pytest

from meetbot.dev.command import welcome
from meetbot.dev.environment import SANDBOXED
from meetbot.dev.stack import DemoTenant, DevEnvironment, RunningStack
from tests.unit.test_dev_environment import ADDRESSES


def greeting(*sandboxed: str) -> str:
    environment = DevEnvironment(Path(".meetbot"), ADDRESSES, environment={}, vault_tokens=None)
    stack = RunningStack(environment, DemoTenant("ten_demo", "mb_test_demo"), sandboxed)
    return welcome(stack, seconds=1.0)


def test_a_sandbox_that_stands_in_for_everything_is_shown_with_its_address_alone() -> None:
    assert f"  Sandbox calendar  {ADDRESSES.sandbox_url}/\n" in greeting(*SANDBOXED)


@pytest.mark.parametrize(
    ("sandboxed", "words"),
    [(("Microsoft",), "Microsoft"), (("Microsoft", "the bot backend"), "Microsoft and the bot backend")],
)
def test_beside_real_accounts_the_sandbox_says_what_it_stands_in_for(sandboxed: tuple[str, ...], words: str) -> None:
    assert f"{ADDRESSES.sandbox_url}/   (stands in for {words})\n" in greeting(*sandboxed)


def test_a_sandbox_that_nothing_uses_is_not_shown() -> None:
    assert "andbox" not in greeting()
