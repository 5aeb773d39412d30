"""The tenant's settings, API keys and audit log."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.console.api_calls import ApiRefused
from api.console.shell import Console, InjectedConsole, PostedForm, see_other
from meetbot.tenants.scopes import KNOWN_SCOPES

router = APIRouter(prefix="/console/settings", include_in_schema=False)
_NUMBERS = ("join_lead_seconds", "revoked_grace_hours", "max_bots_per_day")
_RETENTION = ("event_days", "bot_days", "delivery_days", "audit_days")
_LISTS = ("internal_domains", "redirect_origins")
_TEXTS = ("name", "bot_display_name")
_NEVER = {"never_domains": "domains", "never_emails": "emails", "never_title_markers": "title_markers"}
_PAGE = 50


@router.get("")
async def settings(console: InjectedConsole) -> Response:
    """Show the tenant's settings as a form."""
    return await _show(console)


@router.post("")
async def change_settings(console: InjectedConsole, form: PostedForm) -> Response:
    """Change the settings that the form holds."""
    changes: dict[str, Any] = {name: form[name] for name in _TEXTS if name in form}
    changes |= {name: _whole(form[name]) for name in _NUMBERS if name in form}
    changes |= {name: form[name].replace(",", " ").split() for name in _LISTS if name in form}
    days = {name: _whole(form[name]) for name in _RETENTION if name in form}
    never = {name: _lines(form[field]) for field, name in _NEVER.items() if field in form}
    try:
        if never:
            await console.api.change("PUT", "/calendar/never-record", never)
        await console.api.change("PATCH", "/tenant", changes | ({"retention": days} if days else {}))
    except ApiRefused as refused:
        if refused.status not in (400, 422):
            raise
        return await _show(console, form, refused)
    return see_other("/console/settings", told="saved")


@router.get("/keys")
async def keys(console: InjectedConsole) -> Response:
    """Show the API keys."""
    return await _show_keys(console)


@router.post("/keys")
async def add_key(console: InjectedConsole, form: PostedForm) -> Response:
    """Make an API key, and show it this once."""
    scopes = [scope for scope in KNOWN_SCOPES if form.get(f"scope_{scope}") == "on"]
    made = await console.api.change("POST", "/api-keys", {"name": form.get("name", ""), "scopes": scopes})
    return await _show_keys(console, made)


@router.post("/keys/{key_id}/revoke")
async def revoke_key(console: InjectedConsole, form: PostedForm, key_id: str) -> Response:
    """Revoke an API key at once."""
    await console.api.change("DELETE", f"/api-keys/{key_id}")
    return see_other("/console/settings/keys", told="revoked")


@router.get("/audit")
async def audit(console: InjectedConsole) -> Response:
    """Show the audit log, the newest first, and whether its chain is whole."""
    asked = console.request.query_params
    filters = {"action": asked.get("action"), "actor": asked.get("actor")}
    listed = await console.api.get("/audit-log", {**filters, "cursor": asked.get("cursor"), "limit": _PAGE})
    verified = await console.api.get_or_none("/audit-log/verify")
    return console.page("audit.html", "Audit log", listed=listed, filters=filters, verified=verified)


async def _show(console: Console, typed: Any = None, refused: ApiRefused | None = None) -> Response:
    tenant = await console.api.get("/tenant")
    never = await console.api.get_or_none("/calendar/never-record")
    faults = (
        {str(fault.get("path", "")).split(".")[-1]: fault.get("message", "") for fault in refused.faults}
        if refused
        else {}
    )
    return console.page(
        "settings.html",
        "Settings",
        status=422 if refused else 200,
        tenant=tenant,
        values=_values(tenant) | _never_values(never) | dict(typed or {}),
        shows_never_record=never is not None,
        retention=_RETENTION,
        faults=faults,
        refused=refused,
    )


async def _show_keys(console: Console, made: Any = None) -> Response:
    listed = await console.api.get("/api-keys", {"limit": 250})
    return console.page("keys.html", "API keys", listed=listed, made=made, scopes=KNOWN_SCOPES)


def _values(tenant: dict[str, Any]) -> dict[str, str]:
    return {
        **{name: str(tenant[name]) for name in (*_TEXTS, *_NUMBERS)},
        **{name: "\n".join(tenant[name]) for name in _LISTS},
        **{name: str(tenant["retention"][name]) for name in _RETENTION},
    }


def _never_values(never: Any) -> dict[str, str]:
    return {} if never is None else {field: "\n".join(never[name]) for field, name in _NEVER.items()}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _whole(text: str) -> int | str:
    """Return the number, or the text as it is: the API says what is wrong with it."""
    return int(text) if text.strip().isascii() and text.strip().isdecimal() and len(text) < 12 else text
