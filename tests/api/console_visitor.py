"""A browser that visits the console, signed in or not."""

from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from tests.api.conftest import Tenant

PAGES = [
    "/console",
    "/console/calendars",
    "/console/rules",
    "/console/rules?layer=locked_before",
    "/console/bots",
    "/console/webhooks",
    "/console/usage",
    "/console/usage?group_by=calendar_user&days=7",
    "/console/settings",
    "/console/settings/keys",
    "/console/settings/audit",
    "/console/search?q=nobody",
]


class Visitor:
    """A browser that is signed in, or not."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.client: TestClient = tenant.front.browser()

    def sign_in(self, key: str | None = None, **fields: str) -> Any:
        body = {"key": self.tenant.key if key is None else key, "back": "/console"} | fields
        return self.client.post("/console/sign-in", data=body)

    def get(self, path: str) -> Any:
        return self.client.get(path)

    def post(self, path: str, page: str, **fields: str) -> Any:
        """Send a form as the page at `page` would."""
        found = re.search(r'name="csrf" value="(\w+)"', self.client.get(page).text)
        return self.client.post(path, data={"csrf": found[1] if found else ""} | fields)


@pytest.fixture
def visitor(tenant: Tenant) -> Visitor:
    return Visitor(tenant)


@pytest.fixture
def signed_in(visitor: Visitor) -> Visitor:
    assert visitor.sign_in().status_code == 303
    return visitor
