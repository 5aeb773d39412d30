"""An administrator's approval on a running stack, by pressing the pages' buttons."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from tests.e2e.stack import Stack, eventually, running_stack
from tests.unit.webhooks.receiver import Receiver, running_receiver

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

OWN = {"client_id": "own-client", "client_secret": "a-secret-of-the-tenant"}


@pytest.fixture(scope="module")
def customer() -> Iterator[Receiver]:
    with running_receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, customer: Receiver) -> Iterator[Stack]:
    with running_stack(tmp_path_factory.mktemp("administrators") / "state") as started:
        started.sandbox.post("/control/reset", json={"seed": False}).raise_for_status()
        started.sandbox.post("/control/consent", json={"mode": "ask"}).raise_for_status()
        started.sandbox.post("/control/oauth-clients", json=OWN | {"provider": "microsoft"}).raise_for_status()
        hook = {"url": f"http://127.0.0.1:{customer.port}/hook", "event_types": ["*"]}
        started.api.post("/v1/webhook-endpoints", json=hook).raise_for_status()
        yield started


class Person:
    """A browser, and who sits in front of it."""

    def __init__(self, email: str) -> None:
        self.email = email
        self.page = httpx.Response(200)
        self._cookies = httpx.Cookies()

    def open(self, url: str) -> str:
        """Open an address and follow its redirects; return the page's text."""
        return self._follow("GET", url)

    def press(self, **button: str) -> str:
        """Press a button of the page's form."""
        action = re.findall(r'<form method="post" action="([^"]*)"', self.page.text)[0]
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', self.page.text))
        fields = {name: unescape(value) for name, value in hidden.items()} | button
        return self._follow("POST", urljoin(str(self.page.url), unescape(action)), fields)

    def sign_in(self) -> str:
        return self.press(account=self.email)

    def _follow(self, method: str, url: str, fields: dict[str, str] | None = None) -> str:
        with httpx.Client(trust_env=False, timeout=30, cookies=self._cookies, follow_redirects=True) as browser:
            answer = browser.request(method, url, data=fields)
            while answer.status_code == 202:
                # The page tries again by itself.
                answer = browser.get(str(answer.url))
            self._cookies = browser.cookies
        self.page = answer
        return unescape(answer.text)


@pytest.mark.parametrize("own_app", [False, True], ids=["our-app", "own-app"])
def test_the_whole_path(stack: Stack, customer: Receiver, own_app: bool) -> None:
    domain = "own.test" if own_app else "acme.test"
    user, administrator = Person(f"ada-canary@{domain}"), Person(f"root-canary@{domain}")
    directory = _company(stack, domain, user.email, administrator.email)
    if own_app:
        stack.api.put("/v1/oauth-apps/microsoft", json=OWN).raise_for_status()

    connect = {"customer_user_id": user.email, "login_hint": user.email}
    user.open(stack.api.post("/v1/calendar/connect/microsoft", json=connect).json()["authorization_url"])
    assert "Need admin approval" in user.sign_in()
    page = user.press(decision="return")
    assert "Your administrator must agree first" in page
    (link,) = set(re.findall(r"http://[^\s\"<]+/v1/calendar/admin-consent/[\w.-]+", page))
    (waiting,) = _users(stack, user.email)
    assert (waiting["state_detail"], waiting["admin_consent_url"]) == ("awaiting_admin", link)

    administrator.open(link)
    assert "Read user calendars" in administrator.sign_in()
    # Microsoft's answer leads on to a sign-in, which proves the directory.
    administrator.press(decision="allow")
    assert "Choose an account" in administrator.page.text
    assert "Approved" in administrator.sign_in()

    granted = _hook(customer, "admin_consent.granted", directory)
    assert granted["client_id"] == ("own-client" if own_app else "sandbox-client")
    ready = _hook(customer, "calendar_user.admin_approved", waiting["id"])
    stack.put_event(user.email, title="Planning", starts_in_minutes=600)
    user.open(ready["connect_url"])
    # Nobody is asked for a consent any more.
    assert "Your calendar is connected" in user.sign_in()
    titles = eventually(lambda: _titles(stack, waiting["id"]), seconds=90, what="the first event")
    assert titles == ["Planning"]
    (connected,) = _users(stack, user.email)
    assert (connected["id"], connected["state"]) == (waiting["id"], "active")
    assert not connected["state_detail"]
    assert "Approved already" in Person("").open(link)
    _search_logs(stack, user.email, administrator.email, directory, link, ready["connect_url"])


def _company(stack: Stack, domain: str, user: str, administrator: str) -> str:
    for email in (user, administrator):
        stack.sandbox.post("/control/accounts", json={"email": email, "provider": "microsoft"}).raise_for_status()
    policy = {"user_consent": "admin_only", "administrators": [administrator]}
    answer = stack.sandbox.put(f"/control/directories/{domain}", json=policy).raise_for_status()
    return str(answer.json()["id"])


def _users(stack: Stack, customer_user_id: str) -> list[dict[str, Any]]:
    answer = stack.api.get("/v1/calendar/users", params={"customer_user_id": customer_user_id}).raise_for_status()
    return list(answer.json()["data"])


def _titles(stack: Stack, user: str) -> list[str]:
    return [event["title"] for event in stack.api.get(f"/v1/calendar/users/{user}/events").json()["data"]]


def _hook(customer: Receiver, event: str, about: str) -> dict[str, str]:
    def look() -> dict[str, str] | None:
        bodies = (httpx.Response(200, content=hit.body).json() for hit in list(customer.received))
        return next((body["data"] for body in bodies if body["event"] == event and about in str(body["data"])), None)

    return eventually(look, seconds=60, what=event)


def _search_logs(stack: Stack, *words: str) -> None:
    """No log of ours may hold these, nor the secret parts of links."""
    secrets = [urlsplit(word).path.rpartition(".")[2] if word.startswith("http") else word for word in words]
    names = ("api.log", "worker.log")
    logs = {name: (stack.state / "logs" / name).read_text() for name in names}
    assert "admin_consent" in logs["api.log"] or "connect." in logs["api.log"]
    for name in names:
        assert all(secret not in logs[name] for secret in secrets), name
