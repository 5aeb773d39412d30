"""What recording costs, exactly: by the second, as the backend told it. Pure."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

CURRENCY = "USD"
PRICE_PER_HOUR = Decimal("0.30")
_SECONDS_PER_HOUR = 3600
_MICRO = Decimal("0.000001")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def amount_of(recorded_seconds: int) -> str:
    """Return the price of that much recording in dollars: at least two decimals, six at most.

    The seconds are multiplied before they are divided, and rounded once.
    """
    exact = (PRICE_PER_HOUR * recorded_seconds / _SECONDS_PER_HOUR).quantize(_MICRO, ROUND_HALF_UP)
    whole, _, decimals = f"{exact:f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"


def spreadsheet_text(value: str) -> str:
    """Return a text that no spreadsheet reads as a formula."""
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) or value.startswith(_FORMULA) else value
