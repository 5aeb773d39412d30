"""The rules of a calendar or of the tenant: sentences, JSON, what would flip, versions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api.console.api_calls import ApiRefused
from api.console.rule_sentences import rule_sentence
from api.console.shell import Console, Form, InjectedConsole, PostedForm, see_other

router = APIRouter(prefix="/console/rules", include_in_schema=False)
LAYERS = ("default", "locked_before", "locked_after")
_EXAMPLE: Mapping[str, Any] = {
    "rules": [
        {
            "name": "no 1:1s with my manager",
            "action": "skip",
            "when": {"all": [{"one_to_one": True}, {"attendee_emails": {"any_of": ["$manager_email"]}}]},
        },
        {
            "name": "customers",
            "action": "record",
            "when": {"attendee_domains": {"any_of": ["customer.com", "customer.test"]}},
        },
        {"name": "internal meetings", "action": "record", "when": {"internal": True}},
    ]
}


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose rules: a layer of the tenant's, or a calendar user's.

    ``api`` is their path in the public API.
    """

    name: str
    api: str
    page: str
    user_id: str | None = None


@router.get("")
async def tenant_rules(console: InjectedConsole, layer: str = "default") -> Response:
    """Show a layer of the tenant's rules."""
    return await _show(console, _layer(layer))


@router.get("/{user_id}")
async def user_rules(console: InjectedConsole, user_id: str) -> Response:
    """Show the rules in force for a calendar."""
    return await _show(console, _user(user_id))


@router.post("")
async def change_tenant_rules(console: InjectedConsole, form: PostedForm, layer: str = "default") -> Response:
    """Try, save or roll back a layer of the tenant's rules."""
    return await _change(console, _layer(layer), form)


@router.post("/{user_id}")
async def change_user_rules(console: InjectedConsole, form: PostedForm, user_id: str) -> Response:
    """Try, save or roll back a calendar's rules, or go back to the tenant's."""
    return await _change(console, _user(user_id), form)


def _layer(name: str) -> _Place:
    known = name if name in LAYERS else LAYERS[0]
    return _Place(known, f"/calendar/rules/{known}", f"/console/rules?layer={known}")


def _user(user_id: str) -> _Place:
    return _Place("calendar", f"/calendar/users/{user_id}/rules", f"/console/rules/{user_id}", user_id)


async def _change(console: Console, place: _Place, form: Form) -> Response:
    action = form.get("do", "save")
    if action == "roll_back":
        await console.api.change("POST", f"{place.api}/rollback", {"version": _number(form.get("version"))})
        return see_other(place.page, told="rolled_back")
    if action == "remove":
        await console.api.change("DELETE", place.api)
        return see_other(place.page, told="rules_removed")
    try:
        document = json.loads(form.get("rules", ""))
    except ValueError as error:
        return await _show(console, place, form, faults=[f"This is not JSON: {error}."])
    try:
        if action == "simulate" and place.user_id is not None:
            found = await console.api.change("POST", f"{place.api}/simulate", document)
            return await _show(console, place, form, simulation=found)
        present = await console.api.get(place.api)
        if str(present["version"] or 0) != form.get("base_version", ""):
            return await _show(console, place, form, other=present)
        await console.api.change("PUT", place.api, document)
    except ApiRefused as refused:
        if refused.status not in (400, 422):
            raise
        told = [f"{fault.get('path', '')}: {fault.get('message', '')}" for fault in refused.faults]
        return await _show(console, place, form, faults=told or [refused.detail])
    return see_other(place.page, told="rules_saved")


async def _show(
    console: Console,
    place: _Place,
    form: Form | None = None,
    *,
    faults: list[str] | None = None,
    simulation: Any = None,
    other: Any = None,
) -> Response:
    rules = await console.api.get(place.api)
    versions = await console.api.get_or_none(f"{place.api}/versions", {"limit": 20})
    shown = (
        {"rules": [_as_sent(rule) for rule in rules["rules"]], "all_day": rules["all_day"]}
        if rules["rules"]
        else _EXAMPLE
    )
    typed = form.get("rules") if form is not None else None
    return console.page(
        "rules.html",
        "Rules",
        status=422 if faults else 409 if other else 200,
        place=place,
        layers=LAYERS,
        rules=rules,
        sentences=[rule_sentence(rule) for rule in rules["rules"]],
        is_example=not rules["rules"],
        text=typed if typed is not None else json.dumps(shown, indent=2, ensure_ascii=False),
        versions=versions["data"] if versions is not None else [],
        faults=faults or [],
        simulation=simulation,
        other=None if other is None else json.dumps(other["rules"], indent=2, ensure_ascii=False),
    )


def _as_sent(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {name: rule[name] for name in ("name", "action", "when") if name in rule}


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else 0
