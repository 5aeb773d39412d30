"""Bodies sent where none is taken: refused like unknown fields, since who sends one expects it to be heeded."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from api.problems import Problem
from meetbot.errors import Fault

_CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


async def refuse_stray_body(request: Request) -> None:
    """The dependency of every route: those that change something and declare no body take none, or ``{}``."""
    if request.method not in _CHANGING or request.scope["route"].body_field is not None:
        return
    if "authorization" not in request.headers:
        # The route itself says what is missing first.
        return
    # The gate has seen to its size, and that it is JSON in UTF-8.
    body = await request.body()
    faults = _faults(json.loads(body)) if body.strip() else ()
    if faults:
        place = f"{faults[0].path}: " if faults[0].path else ""
        raise Problem(422, "invalid_input", place + faults[0].message, faults=faults)


def _faults(document: Any) -> tuple[Fault, ...]:
    if document is None:
        return ()
    if not isinstance(document, dict):
        return (Fault("", "no_body", "this takes no body"),)
    return tuple(Fault(name[:200], "unknown_field", "this takes no fields") for name in document)
