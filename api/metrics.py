"""Figures of the HTTP front, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

REQUESTS = Counter("meetbot_http_requests_total", "Answered HTTP requests.", ["method", "route", "status"])
SECONDS = Histogram(
    "meetbot_http_request_seconds",
    "Time from the first byte of a request to the end of its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
UNLOGGED_REQUESTS = Counter(
    "meetbot_unlogged_requests_total", "Requests that are missing from the log that tenants can read."
)
CONNECTS = Counter("meetbot_connects_total", "Consents that came back, by how they ended.", ["provider", "result"])


def observe(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request and how long it took."""
    known = method if method in _METHODS else "other"
    REQUESTS.labels(known, route, str(status)).inc()
    SECONDS.labels(known, route).observe(seconds)
