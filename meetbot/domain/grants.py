"""What a provider knows as one grant: the consent to a client or to a whole project. Pure."""

from __future__ import annotations

import re

from meetbot.domain.event import Provider

_GOOGLE_CLIENT = re.compile(r"(\d+)-[a-z0-9]+\.apps\.googleusercontent\.com", re.ASCII)


def grant_scope(provider: str, client_id: str) -> str:
    """Return what the client's grants belong to.

    Clients of the same answer share an account's grant: to end it through one of them ends it for all. At Google that is the
    project, whose number begins the client's id.
    """
    found = _GOOGLE_CLIENT.fullmatch(client_id) if provider == Provider.GOOGLE else None
    return client_id if found is None else found.group(1)
