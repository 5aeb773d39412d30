"""Webhook endpoints and what was sent to them."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from api.console.shell import InjectedConsole, PostedForm, see_other

router = APIRouter(prefix="/console/webhooks", include_in_schema=False)
_PAGE = 50


@router.get("")
async def webhooks(console: InjectedConsole) -> Response:
    """Show the endpoints."""
    listed = await console.api.get("/webhook-endpoints", {"limit": 250})
    return console.page("webhooks.html", "Webhooks", listed=listed, secret=None)


@router.post("")
async def add_endpoint(console: InjectedConsole, form: PostedForm) -> Response:
    """Add an endpoint, and show its secret this once."""
    types = [name.strip() for name in form.get("event_types", "*").replace(",", " ").split()] or ["*"]
    made = await console.api.change("POST", "/webhook-endpoints", {"url": form.get("url", ""), "event_types": types})
    listed = await console.api.get("/webhook-endpoints", {"limit": 250})
    return console.page("webhooks.html", "Webhooks", listed=listed, secret=made["secret"])


@router.get("/{endpoint_id}")
async def endpoint(console: InjectedConsole, endpoint_id: str) -> Response:
    """Show one endpoint with its deliveries, the newest first."""
    asked = console.request.query_params
    filters = {"state": asked.get("state"), "event_type": asked.get("event_type")}
    found = await console.api.get(f"/webhook-endpoints/{endpoint_id}")
    listed = await console.api.get(
        f"/webhook-endpoints/{endpoint_id}/deliveries", {**filters, "cursor": asked.get("cursor"), "limit": _PAGE}
    )
    return console.page("endpoint.html", found["url"], endpoint=found, listed=listed, filters=filters)


@router.post("/{endpoint_id}")
async def change_endpoint(console: InjectedConsole, form: PostedForm, endpoint_id: str) -> Response:
    """Test, switch, replay or remove an endpoint."""
    path, page = f"/webhook-endpoints/{endpoint_id}", f"/console/webhooks/{endpoint_id}"
    match form.get("do"):
        case "test":
            await console.api.change("POST", f"{path}/test")
            return see_other(page, told="test_sent")
        case "replay":
            await console.api.change("POST", f"{path}/replay", {"state": "dead"})
            return see_other(page, told="replayed")
        case "enable" | "disable" as wanted:
            await console.api.change("PATCH", path, {"state": f"{wanted}d"})
            return see_other(page, told="saved")
        case "remove":
            await console.api.change("DELETE", path)
            return see_other("/console/webhooks", told="removed")
        case _:
            return see_other(page)


@router.get("/deliveries/{delivery_id}")
async def delivery(console: InjectedConsole, delivery_id: str) -> Response:
    """Show one delivery with what it told."""
    found = await console.api.get(f"/webhook-deliveries/{delivery_id}")
    attempts = await console.api.get_or_none(f"/webhook-deliveries/{delivery_id}/attempts", {"limit": 100})
    return console.page("delivery.html", "Delivery", delivery=found, attempts=attempts)


@router.post("/deliveries/{delivery_id}")
async def replay(console: InjectedConsole, form: PostedForm, delivery_id: str) -> Response:
    """Send one delivery again."""
    await console.api.change("POST", f"/webhook-deliveries/{delivery_id}/replay")
    return see_other(f"/console/webhooks/deliveries/{delivery_id}", told="replayed")
