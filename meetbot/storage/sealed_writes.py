"""Changes to sealed columns for a role that may not read them. Pure.

They are functions of the owner's (SECURITY DEFINER). Row level security binds the owner, so that they reach only the tenant of
the transaction; they return nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from meetbot.storage.roles import Role

ROTATE_WEBHOOK_SECRET = "rotate_webhook_secret"  # noqa: S105 - a function's name
SET_TOKEN_ASIDE = "set_token_aside"  # noqa: S105 - a function's name

_SIGNATURES = (
    f"public.{ROTATE_WEBHOOK_SECRET}(text, text, jsonb, timestamptz, interval, integer)",
    f"public.{SET_TOKEN_ASIDE}(text, text, text)",
)

# The newest first; what was current until now stays valid for the overlap, what has ended goes.
_ROTATE = """
    create or replace function public.rotate_webhook_secret(
        its_tenant text, its_endpoint text, newest jsonb, at timestamptz, overlap interval, most integer)
    returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
        update public.webhook_endpoint
           set updated_at = at,
               secrets = jsonb_build_array(newest) || coalesce(
                   (select jsonb_agg(
                        case when secret ->> 'expires_at' is null
                             then secret || jsonb_build_object('expires_at', to_char((at + overlap) at time zone 'UTC',
                                                               'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'))
                             else secret end
                        order by place)
                      from jsonb_array_elements(secrets) with ordinality older(secret, place)
                     where place < most
                       and (secret ->> 'expires_at' is null or (secret ->> 'expires_at')::timestamptz > at)),
                   '[]'::jsonb)
         where tenant_id = its_tenant and id = its_endpoint
    $$
"""

# The token is copied as it is: what it is bound to stands beside it.
_SET_ASIDE = """
    create or replace function public.set_token_aside(its_tenant text, its_calendar_user text, its_id text)
    returns void language sql security definer set search_path = pg_catalog, pg_temp as $$
        insert into public.pending_revocation (
                tenant_id, erasure_id, calendar_user_id, provider, subject, token_version, oauth_client_id,
                kek_version, wrapped_key, refresh_ciphertext)
        select tenant_id, its_id, id, provider, subject, sealed_version, oauth_client_id,
               kek_version, wrapped_key, refresh_ciphertext
          from public.calendar_user
         where tenant_id = its_tenant and id = its_calendar_user and wrapped_key <> ''
    $$
"""

FUNCTIONS = (_ROTATE, _SET_ASIDE)


def functions(roles: Collection[Role]) -> Iterator[str]:
    """Yield the statements that make the functions, for those of the roles that may call them."""
    yield from FUNCTIONS
    for signature in _SIGNATURES:
        yield f"revoke all on function {signature} from {', '.join(('public', *sorted(roles)))}"
        for role in (Role.API, Role.WORKER):
            if role in roles:
                yield f"grant execute on function {signature} to {role}"
