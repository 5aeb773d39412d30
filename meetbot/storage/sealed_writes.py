"""Changes to sealed columns for a role that may not read them. Pure.

They are functions of the owner's (SECURITY DEFINER). Row level security binds the owner, so that they reach only the tenant of
the transaction; they return nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from meetbot.storage.roles import Role

ROTATE_WEBHOOK_SECRET = "rotate_webhook_secret"  # noqa: S105 - a function's name

_SIGNATURE = f"public.{ROTATE_WEBHOOK_SECRET}(text, text, jsonb, timestamptz, interval, integer)"

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

FUNCTIONS = (_ROTATE,)


def functions(roles: Collection[Role]) -> Iterator[str]:
    """Yield the statements that make the functions, for those of the roles that may call them."""
    yield from FUNCTIONS
    yield f"revoke all on function {_SIGNATURE} from {', '.join(('public', *sorted(roles)))}"
    for role in (Role.API, Role.WORKER):
        if role in roles:
            yield f"grant execute on function {_SIGNATURE} to {role}"
