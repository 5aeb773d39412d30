"""A token bucket per API key, taken from in one statement."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

# What the bucket holds at this instant: what it held, and what has dripped in since.
_HELD = "least(:capacity, b.tokens + greatest(0, extract(epoch from clock_timestamp() - b.refilled_at)) * :per_second)"
_TAKE = text(
    f"""
    insert into rate_bucket as b (tenant_id, key, tokens, refilled_at)
    values (:tenant_id, :key, cast(:capacity as double precision) - 1, clock_timestamp())
    on conflict (tenant_id, key) do update
       set tokens = {_HELD} - 1, refilled_at = greatest(b.refilled_at, clock_timestamp())
     where {_HELD} >= 1
    returning tokens
    """  # noqa: S608 - no value of a caller is in it
)
_LOOK = text(f"select {_HELD} from rate_bucket b where b.tenant_id = :tenant_id and b.key = :key")  # noqa: S608


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a key may still do. ``retry_after_seconds`` is 0 if the request was allowed."""

    limit: int
    remaining: int
    reset_seconds: int
    retry_after_seconds: int = 0

    @property
    def is_exhausted(self) -> bool:
        """Return whether the request was refused."""
        return self.retry_after_seconds > 0


def take_token(session: Session, tenant_id: str, key: str, *, per_minute: int) -> Allowance:
    """Take one of `per_minute` tokens. A refused request takes none, so waiting always helps."""
    values = {"tenant_id": tenant_id, "key": key, "capacity": float(per_minute), "per_second": per_minute / 60}
    taken = session.execute(_TAKE, values).scalar_one_or_none()
    if taken is not None:
        left = float(taken)
        return Allowance(per_minute, math.floor(left), math.ceil((per_minute - left) * 60 / per_minute))
    held = float(session.execute(_LOOK, values).scalar_one())
    wait = max(1, math.ceil((1 - held) * 60 / per_minute))
    return Allowance(per_minute, 0, math.ceil((per_minute - held) * 60 / per_minute), wait)
