"""All that the work for one calendar user starts from, read in one statement.

Syncing, deciding and dispatching read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import text
from sqlmodel import Session

from meetbot.domain.account_calendar import CalendarChoice, CalendarsMode
from meetbot.domain.calendar_health import KnownCalendar, selected_ids
from meetbot.domain.calendar_user import CONNECTED, CalendarUserStatus
from meetbot.domain.event import Provider
from meetbot.domain.override_scope import OverrideScope
from meetbot.domain.push import Channel
from meetbot.rules.never_record import NeverRecord
from meetbot.rules.policy import TENANT_OWNER, Policy, StoredRuleSet
from meetbot.storage.account_calendars import calendar_of_json
from meetbot.storage.push_channels import channel_of_json
from meetbot.vault.sealing import SealedSecret, TokenOwner, kek_name


@dataclass(frozen=True, slots=True)
class CalendarUserContext:
    """A calendar user with its sealed refresh token, its policy and the tenant's grace period.

    The grace period starts at a loss of access.

    ``decided_policy`` is the digest of the policy that the stored decisions were made by. ``quiet_from`` is when the quiet
    syncs that are counted together began.
    """

    tenant_id: str
    id: str
    provider: Provider
    subject: str
    email: str
    email_aliases: tuple[str, ...]
    state: CalendarUserStatus
    state_changed_at: datetime
    error_code: str | None
    scopes: frozenset[str]
    token_version: int
    sealed_version: int
    sealed_refresh_token: SealedSecret
    oauth_client_id: str | None
    decided_policy: str | None
    last_synced_at: datetime | None
    not_before: datetime | None
    asked_at: datetime | None
    consented_at: datetime | None
    reconnect_notices: int
    revoked_grace: timedelta
    policy: Policy
    max_bots_per_day: int
    channels: tuple[Channel, ...] = ()
    quiet_from: datetime | None = None
    calendars_mode: CalendarsMode = CalendarsMode.OWNED
    calendars: tuple[KnownCalendar, ...] = ()

    @property
    def choice(self) -> CalendarChoice:
        """Return which calendars are to be read, as it is passed to the provider."""
        present = [one for one in self.calendars if one.gone_at is None]
        wanted = frozenset(selected_ids(present, self.calendars_mode))
        return CalendarChoice(
            self.calendars_mode,
            named=frozenset(one.id for one in present if one.named),
            held=frozenset(one.id for one in present if one.id in wanted),
        )

    def is_refused(self, calendar_id: str) -> bool:
        """Return whether the provider refuses us the events of this calendar."""
        return any(one.id == calendar_id and one.refused_since is not None for one in self.calendars)

    @property
    def is_connected(self) -> bool:
        """Return whether we have access to the calendar, as far as we know."""
        return self.state in CONNECTED

    @property
    def token_owner(self) -> TokenOwner:
        """Return what the stored refresh token was sealed for."""
        return TokenOwner(
            self.tenant_id, self.id, self.provider, self.subject, self.sealed_version, self.oauth_client_id
        )

    def without_access(self, code: str, *, since: datetime) -> CalendarUserContext:
        """Return the user as it is once access was lost, with the reason's code."""
        return replace(
            self,
            state=CalendarUserStatus.NEEDS_RECONNECT,
            state_changed_at=since,
            error_code=code,
            reconnect_notices=1,
        )

    def grace_is_over(self, now: datetime) -> bool:
        """Return whether access was lost so long ago that its bots are no longer to go."""
        return self.state is CalendarUserStatus.NEEDS_RECONNECT and now >= self.state_changed_at + self.revoked_grace


_COLUMNS = """
    select u.provider, u.subject, u.email, u.email_aliases, u.state, u.state_changed_at, u.error_code, u.scopes,
           u.token_version, u.sealed_version, u.oauth_client_id, u.kek_version, u.decided_policy, u.last_synced_at,
           u.not_before, u.asked_at, u.consented_at, u.reconnect_notices, u.quiet_from, u.attributes,
           coalesce(u.calendars_mode, t.calendars_mode) as calendars_mode,
           t.revoked_grace_hours, t.max_bots_per_day, t.internal_domains, t.never_record,
           (select coalesce(jsonb_agg(jsonb_build_object('owner', r.owner, 'layer', r.layer, 'version', r.version,
                                                         'body', r.body) order by r.owner, r.layer), '[]')
              from rule_set r
             where r.tenant_id = u.tenant_id and r.active and r.owner in (u.id, :tenant_owner)) as rule_sets,
           (select coalesce(jsonb_agg(jsonb_build_array(o.scope, o.key, o.recording)), '[]')
              from recording_override o
             where o.tenant_id = u.tenant_id and o.calendar_user_id = u.id) as overrides,
           (select coalesce(jsonb_agg(to_jsonb(c) - 'token_digest' order by c.created_at, c.id), '[]')
              from push_channel c
             where c.tenant_id = u.tenant_id and c.calendar_user_id = u.id) as channels,
           (select coalesce(jsonb_agg(to_jsonb(a) order by a.calendar_id), '[]')
              from account_calendar a
             where a.tenant_id = u.tenant_id and a.calendar_user_id = u.id) as calendars
      from calendar_user u join tenant t on t.id = u.tenant_id
     where u.tenant_id = :tenant_id and u.id = :id
    """
_LOAD = text(_COLUMNS.replace("u.kek_version", "u.kek_version, u.wrapped_key, u.refresh_ciphertext"))
# For the api, which may not read what is sealed; the empty secret opens nowhere.
_LOAD_UNSEALED = text(_COLUMNS.replace("u.kek_version", "u.kek_version, '' as wrapped_key"))


def load_context(
    session: Session, tenant_id: str, calendar_user_id: str, *, with_secret: bool = True
) -> CalendarUserContext | None:
    """Return the calendar user, or None if there is none (any more).

    Without its secret it does to decide with, and for nothing that asks the provider.
    """
    bounds = {"tenant_id": tenant_id, "id": calendar_user_id, "tenant_owner": TENANT_OWNER}
    row = session.execute(_LOAD if with_secret else _LOAD_UNSEALED, bounds).mappings().one_or_none()
    if row is None:
        return None
    return CalendarUserContext(
        tenant_id=tenant_id,
        id=calendar_user_id,
        provider=Provider(row["provider"]),
        subject=row["subject"],
        email=row["email"],
        email_aliases=tuple(row["email_aliases"]),
        state=CalendarUserStatus(row["state"]),
        state_changed_at=row["state_changed_at"],
        error_code=row["error_code"],
        scopes=frozenset(row["scopes"]),
        token_version=row["token_version"],
        sealed_version=row["sealed_version"],
        sealed_refresh_token=SealedSecret(
            kek_name=kek_name(tenant_id),
            kek_version=row["kek_version"],
            wrapped_key=row["wrapped_key"],
            nonce_and_ciphertext=bytes(row.get("refresh_ciphertext", b"")),
        ),
        oauth_client_id=row["oauth_client_id"],
        decided_policy=row["decided_policy"],
        last_synced_at=row["last_synced_at"],
        not_before=row["not_before"],
        asked_at=row["asked_at"],
        consented_at=row["consented_at"],
        reconnect_notices=row["reconnect_notices"],
        revoked_grace=timedelta(hours=row["revoked_grace_hours"]),
        policy=_policy(dict(row)),
        max_bots_per_day=row["max_bots_per_day"],
        channels=tuple(channel_of_json(stored) for stored in row["channels"]),
        quiet_from=row["quiet_from"],
        calendars_mode=CalendarsMode(row["calendars_mode"]),
        calendars=tuple(calendar_of_json(stored) for stored in row["calendars"]),
    )


def _policy(row: Mapping[str, Any]) -> Policy:
    overrides = row["overrides"]
    return Policy(
        provider=Provider(row["provider"]),
        owner_email=row["email"],
        internal_domains=tuple(row["internal_domains"]),
        attributes=row["attributes"],
        never_record=NeverRecord(**{name: tuple(listed) for name, listed in row["never_record"].items()}),
        rule_sets=tuple(
            StoredRuleSet(
                layer=stored["layer"] if stored["owner"] == TENANT_OWNER else "user",
                version=stored["version"],
                body=orjson.dumps(stored["body"]).decode(),
            )
            for stored in row["rule_sets"]
        ),
        occurrence_overrides={key: said for scope, key, said in overrides if scope == OverrideScope.OCCURRENCE},
        series_overrides={key: said for scope, key, said in overrides if scope == OverrideScope.SERIES},
    )
