"""The table of routes: every route is in it, and takes the scopes that stand there."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api import app as application
from api.access import ROUTES
from api.routers import backends, consent, consent_links, notifications

OPEN = {
    route.path
    for module in (consent, consent_links, backends, notifications)
    for route in module.router.routes
    if isinstance(route, APIRoute)
}


def _routes() -> Iterator[tuple[str, APIRoute]]:
    for module in application._ROUTERS:
        for route in module.router.routes:
            if isinstance(route, APIRoute) and route.path not in OPEN:
                for method in route.methods or ():
                    yield method, route


def _declared(dependant: Dependant) -> set[str]:
    found = set(getattr(dependant.call, "scopes", ()))
    return found.union(*(_declared(inner) for inner in dependant.dependencies))


def test_every_route_is_in_the_table_with_the_scopes_it_declares() -> None:
    declared = {(method, route.path): _declared(route.dependant) for method, route in _routes()}
    assert declared == {key: set(access.scopes) for key, access in ROUTES.items()}
    assert all(declared.values()), "a route without a scope"


def test_every_route_that_changes_something_has_a_name_in_the_audit_log() -> None:
    reads = {key for key, access in ROUTES.items() if access.action is None}
    assert {key for key in reads if key[0] != "GET"} == {
        ("POST", "/calendar/users/{calendar_user_id}/rules/simulate"),
        ("POST", "/calendar/rules/{layer}/simulate"),
    }
    assert {key for key in ROUTES if key[0] == "GET"} <= reads
