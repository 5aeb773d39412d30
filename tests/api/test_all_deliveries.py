"""The log of deliveries over all endpoints of a tenant."""

from __future__ import annotations

from collections.abc import Callable

from tests.api.conftest import Tenant

PATH = "/webhook-deliveries"


def sent_to_two(tenant: Tenant) -> list[str]:
    """Return the two endpoints; each has one test delivery."""
    urls = ("https://one.example/h", "https://two.example/h")
    made = [tenant.post("/webhook-endpoints", json={"url": url}).json()["id"] for url in urls]
    for endpoint in made:
        tenant.post(f"/webhook-endpoints/{endpoint}/test")
    return made


def test_all_endpoints_deliveries_are_listed_the_newest_first(tenant: Tenant) -> None:
    first, second = sent_to_two(tenant)
    listed = tenant.get(PATH).json()["data"]
    assert [one["endpoint_id"] for one in listed] == [second, first]


def test_one_endpoint_may_be_named(tenant: Tenant) -> None:
    first, _ = sent_to_two(tenant)
    listed = tenant.get(PATH, params={"endpoint_id": first}).json()["data"]
    assert [one["endpoint_id"] for one in listed] == [first]


def test_pages_follow_each_other_without_a_gap(tenant: Tenant) -> None:
    first, second = sent_to_two(tenant)
    page = tenant.get(PATH, params={"limit": 1}).json()
    rest = tenant.get(PATH, params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [one["endpoint_id"] for one in page["data"] + rest["data"]] == [second, first]
    assert rest["next_cursor"] is None


def test_another_tenants_deliveries_are_not_listed(new_tenant: Callable[[], Tenant]) -> None:
    sent_to_two(new_tenant())
    assert new_tenant().get(PATH).json()["data"] == []
