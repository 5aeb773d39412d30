"""The audit entry of a request that changes something."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session

from api.access import access_to
from api.auth import Caller
from meetbot.domain.audit import AuditFact, DetailValue
from meetbot.storage.audit_log import append


def record(session: Session, caller: Caller, target: str, detail: Mapping[str, DetailValue] | None = None) -> None:
    """Write the entry of this request, as the last thing in the transaction of its change.

    What was done is the action that `api.access` gives the route. The detail holds no personal data.
    """
    origin = caller.origin
    action = access_to(origin.method, origin.path).action
    if action is None:
        raise AssertionError("a route that changes something has an action in api.access")
    fact = AuditFact(origin.at, caller.key_id, action, target, origin.request_id, origin.ip, detail or {})
    append(session, caller.tenant_id, fact)
