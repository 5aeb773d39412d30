"""Which scopes each route takes, and what the audit log calls it: one table.

A path of a route that takes an API key and is not here answers 403 to every key, so that no route is open by oversight. What
a route takes beyond this for one field (the rules of a new connection) is said in the route.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request

from api.problems import Problem
from meetbot.tenants.scopes import Scope


@dataclass(frozen=True, slots=True)
class Access:
    """The scopes that a route takes; ``action`` is None if it changes nothing."""

    scopes: tuple[Scope, ...]
    action: str | None = None


_PREFIX = re.compile(r"^(?:/api)?/v1(?=/)")
_USERS = "/calendar/users"
_USER = f"{_USERS}/{{calendar_user_id}}"
_OVERRIDE = f"{_USER}/events/{{event_id}}/override"
_LAYER = "/calendar/rules/{layer}"
_ENDPOINTS = "/webhook-endpoints"
_ENDPOINT = f"{_ENDPOINTS}/{{endpoint_id}}"
_DELIVERY = "/webhook-deliveries/{delivery_id}"
_KEYS = "/api-keys"
_APP = "/oauth-apps/{provider}"

_CALENDARS_READ = Access((Scope.CALENDARS_READ,))
_RULES_READ = Access((Scope.RULES_READ,))
_BOTS_READ = Access((Scope.BOTS_READ,))
_WEBHOOKS_READ = Access((Scope.WEBHOOKS_READ,))
_TENANT_READ = Access((Scope.TENANT_READ,))

ROUTES: Mapping[tuple[str, str], Access] = {
    ("POST", "/calendar/connect/{provider}"): Access((Scope.CALENDARS_WRITE,), "calendar_user.connect_started"),
    ("POST", f"{_USER}/reconnect"): Access((Scope.CALENDARS_WRITE,), "calendar_user.reconnect_started"),
    ("POST", "/calendar/admin-consent/microsoft"): Access((Scope.CALENDARS_WRITE,), "admin_consent.link_made"),
    ("GET", _USERS): _CALENDARS_READ,
    ("GET", _USER): _CALENDARS_READ,
    ("PATCH", _USER): Access((Scope.CALENDARS_WRITE,), "calendar_user.changed"),
    ("DELETE", _USER): Access((Scope.CALENDARS_WRITE,), "calendar_user.erasure_asked"),
    ("GET", "/erasures/{erasure_id}"): _CALENDARS_READ,
    ("POST", f"{_USER}/sync"): Access((Scope.CALENDARS_WRITE,), "calendar_user.sync_asked"),
    ("GET", f"{_USER}/history"): _CALENDARS_READ,
    ("GET", f"{_USER}/syncs"): _CALENDARS_READ,
    ("GET", f"{_USER}/calendars"): _CALENDARS_READ,
    ("PUT", f"{_USER}/calendars"): Access((Scope.CALENDARS_WRITE,), "calendar_user.calendars_chosen"),
    ("GET", f"{_USER}/check"): _CALENDARS_READ,
    ("GET", f"{_USER}/events"): _CALENDARS_READ,
    ("GET", f"{_USER}/events/{{event_id}}"): _CALENDARS_READ,
    ("GET", f"{_USER}/events/{{event_id}}/history"): _CALENDARS_READ,
    ("GET", f"{_USER}/events/{{event_id}}/explain"): Access((Scope.CALENDARS_READ, Scope.RULES_READ)),
    ("GET", "/calendar/events"): _CALENDARS_READ,
    ("PUT", _OVERRIDE): Access((Scope.RULES_WRITE, Scope.CALENDARS_READ), "override.set"),
    ("DELETE", _OVERRIDE): Access((Scope.RULES_WRITE, Scope.CALENDARS_READ), "override.removed"),
    ("GET", f"{_USER}/rules"): _RULES_READ,
    ("PUT", f"{_USER}/rules"): Access((Scope.RULES_WRITE,), "rules.put"),
    ("DELETE", f"{_USER}/rules"): Access((Scope.RULES_WRITE,), "rules.removed"),
    ("GET", f"{_USER}/rules/versions"): _RULES_READ,
    ("POST", f"{_USER}/rules/rollback"): Access((Scope.RULES_WRITE,), "rules.rolled_back"),
    ("POST", f"{_USER}/rules/simulate"): Access((Scope.RULES_READ, Scope.CALENDARS_READ)),
    ("GET", _LAYER): _RULES_READ,
    ("PUT", _LAYER): Access((Scope.RULES_WRITE,), "rules.put"),
    ("DELETE", _LAYER): Access((Scope.RULES_WRITE,), "rules.removed"),
    ("GET", f"{_LAYER}/versions"): _RULES_READ,
    ("POST", f"{_LAYER}/simulate"): Access((Scope.RULES_READ, Scope.CALENDARS_READ)),
    ("POST", f"{_LAYER}/rollback"): Access((Scope.RULES_WRITE,), "rules.rolled_back"),
    ("GET", "/calendar/never-record"): _RULES_READ,
    ("PUT", "/calendar/never-record"): Access((Scope.RULES_WRITE,), "never_record.put"),
    ("GET", "/bots"): _BOTS_READ,
    ("GET", "/bots/{bot_id}"): _BOTS_READ,
    ("GET", "/bots/{bot_id}/timeline"): _BOTS_READ,
    ("POST", "/bots/{bot_id}/cancel"): Access((Scope.BOTS_WRITE,), "bot.cancel_asked"),
    ("GET", _ENDPOINTS): _WEBHOOKS_READ,
    ("POST", _ENDPOINTS): Access((Scope.WEBHOOKS_WRITE,), "webhook_endpoint.created"),
    ("GET", _ENDPOINT): _WEBHOOKS_READ,
    ("PATCH", _ENDPOINT): Access((Scope.WEBHOOKS_WRITE,), "webhook_endpoint.changed"),
    ("DELETE", _ENDPOINT): Access((Scope.WEBHOOKS_WRITE,), "webhook_endpoint.removed"),
    ("POST", f"{_ENDPOINT}/rotate-secret"): Access((Scope.WEBHOOKS_WRITE,), "webhook_endpoint.secret_rotated"),
    ("POST", f"{_ENDPOINT}/test"): Access((Scope.WEBHOOKS_WRITE,), "webhook_endpoint.tested"),
    ("GET", f"{_ENDPOINT}/deliveries"): _WEBHOOKS_READ,
    ("POST", f"{_ENDPOINT}/replay"): Access((Scope.WEBHOOKS_WRITE,), "webhook_deliveries.replayed"),
    ("GET", _DELIVERY): _WEBHOOKS_READ,
    ("GET", f"{_DELIVERY}/attempts"): _WEBHOOKS_READ,
    ("POST", f"{_DELIVERY}/replay"): Access((Scope.WEBHOOKS_WRITE,), "webhook_delivery.replayed"),
    ("GET", "/tenant"): _TENANT_READ,
    ("PATCH", "/tenant"): Access((Scope.TENANT_WRITE,), "tenant.changed"),
    ("GET", "/tenant/retention-runs"): _TENANT_READ,
    ("GET", _APP): _TENANT_READ,
    ("PUT", _APP): Access((Scope.TENANT_WRITE,), "oauth_app.put"),
    ("DELETE", _APP): Access((Scope.TENANT_WRITE,), "oauth_app.removed"),
    ("POST", f"{_APP}/check"): Access((Scope.TENANT_WRITE,), "oauth_app.checked"),
    ("GET", "/usage"): _TENANT_READ,
    ("GET", "/audit-log"): Access((Scope.AUDIT_READ,)),
    ("GET", "/audit-log/verify"): Access((Scope.AUDIT_READ,)),
    ("GET", "/audit-log/decryptions"): Access((Scope.AUDIT_READ,)),
    ("GET", "/api-requests"): Access((Scope.AUDIT_READ,)),
    ("GET", _KEYS): Access((Scope.KEYS_WRITE,)),
    ("POST", _KEYS): Access((Scope.KEYS_WRITE,), "api_key.created"),
    ("POST", f"{_KEYS}/{{key_id}}/rotate"): Access((Scope.KEYS_WRITE,), "api_key.rotated"),
    ("DELETE", f"{_KEYS}/{{key_id}}"): Access((Scope.KEYS_WRITE,), "api_key.revoked"),
}


def route_path(request: Request) -> str:
    """Return the template of the request's route, without the prefix of the API."""
    path = str(getattr(request.scope.get("route"), "path", ""))
    return _PREFIX.sub("", path)


def access_to(method: str, path: str) -> Access:
    """Return the entry of a route. Raises the problem ``missing_scope`` for a route without one."""
    access = ROUTES.get((method, path))
    if access is None:
        raise Problem(403, "missing_scope", "no API key has access to this route")
    return access
