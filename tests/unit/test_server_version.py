"""A database server that is too old is refused before anything is changed in it."""

from __future__ import annotations

import pytest

from meetbot.errors import ConfigurationError
from meetbot.storage.server_version import OLDEST, refuse_older


def test_a_server_that_is_too_old_is_refused_with_a_next_step() -> None:
    with pytest.raises(ConfigurationError) as refused:
        refuse_older(OLDEST - 1)
    assert (refused.value.code, str(OLDEST) in (refused.value.next_step or "")) == ("database_too_old", True)


@pytest.mark.parametrize("version", [OLDEST, OLDEST + 1])
def test_a_newer_server_is_taken(version: int) -> None:
    refuse_older(version)
