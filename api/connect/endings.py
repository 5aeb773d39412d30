"""What a browser gets on its way through a consent: redirects and pages."""

from __future__ import annotations

from fastapi.responses import RedirectResponse, Response

from api.connect.authorize import ProviderRedirect, client_name
from api.connect.callback import ConsentResult
from api.dependencies import ApiServices
from api.pages import message_page, page
from meetbot.calendars.connect_flow import LIFETIME, ConnectError, cookie_name
from meetbot.domain.event import Provider

_MESSAGES = {
    ConnectError.ACCESS_DENIED: ("Not connected", "Access to the calendar was not given. You can try again any time."),
    ConnectError.SCOPE_MISSING: (
        "Not connected",
        "A permission to read your calendar, now or later, was not given. Please connect again and give all of them.",
    ),
    ConnectError.EXPIRED: ("This took too long", "The link is valid for ten minutes. Please ask for a new one."),
    ConnectError.ACCOUNT_MISMATCH: (
        "This is another account",
        "Please sign in with the account that was connected before. Nothing was changed.",
    ),
    ConnectError.PROVIDER_ERROR: (
        "Not connected",
        "The calendar's provider reported an error. Please try again in a few minutes.",
    ),
    ConnectError.ADMIN_CONSENT_REQUIRED: (
        "Your administrator must agree first",
        "Your organisation lets only administrators give access. Please ask yours.",
    ),
}
_NOT_APPROVED = {
    ConnectError.ACCESS_DENIED: "The approval was not given. Nothing was changed; the link can be opened again.",
    ConnectError.SCOPE_MISSING: "The permission to read calendars was not part of the approval. Please open the link again.",
    ConnectError.EXPIRED: "This took too long, or the link was used already. Please open it again, or ask for a new one.",
    ConnectError.ACCOUNT_MISMATCH: "This account belongs to another directory than the link is for. Nothing was changed.",
    ConnectError.PROVIDER_ERROR: "Microsoft reported an error. Please open the link again in a few minutes.",
    ConnectError.ADMIN_CONSENT_REQUIRED: "This account may not approve applications. Please forward the link.",
}


def ended_page(services: ApiServices, result: ConsentResult) -> Response:
    """Return the redirect to the customer, or a page of ours if there is none."""
    url = result.url()
    if url is not None:
        return RedirectResponse(url, status_code=302)
    if result.attempt.admin_consent_id is not None:
        return _approval_page(result)
    if result.error is None:
        return message_page(
            "Your calendar is connected", "You can close this page.", good=True, told=result.parameters()
        )
    title, text = _MESSAGES[result.error]
    is_administrators_matter = result.error is ConnectError.ADMIN_CONSENT_REQUIRED
    is_google = result.attempt.provider == Provider.GOOGLE
    if result.forward is None and not (is_administrators_matter and is_google):
        return message_page(title, text, told=result.parameters())
    return page(
        "ask_administrator.html",
        title=title,
        text=text,
        is_sure=is_administrators_matter,
        provider=result.attempt.provider,
        client=client_name(services, result.attempt),
        forward=result.forward,
        told=result.parameters(),
    )


def _approval_page(result: ConsentResult) -> Response:
    if result.error is not None:
        return message_page("Not approved", _NOT_APPROVED[result.error], told=result.parameters())
    return message_page(
        "Approved",
        "Calendars of your organisation can be connected now, each by its own user. You can close this page.",
        good=True,
        told=result.parameters(),
    )


def send_to_provider(services: ApiServices, redirect: ProviderRedirect) -> Response:
    """Return the redirect to the provider, with the cookie that the browser must bring back."""
    secure = is_https(services)
    answer = RedirectResponse(redirect.provider_url, status_code=302)
    answer.set_cookie(
        cookie_name(redirect.state, secure=secure),
        redirect.browser_secret,
        max_age=int(redirect.lifetime.total_seconds()),
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return answer


def too_many_tries() -> Response:
    """Return the page for a link that was opened too often."""
    answer = message_page(
        "Too many tries", "This link was opened too often. Please try again in ten minutes.", status=429
    )
    answer.headers["Retry-After"] = str(int(LIFETIME.total_seconds()))
    return answer


def unknown_link() -> Response:
    """Return the page for a link or a state that does not work."""
    return message_page(
        "This link does not work",
        "It was used already, belongs to another browser, or is not complete. Please ask for a new one. Nothing was stored.",
        status=400,
    )


def is_https(services: ApiServices) -> bool:
    """Return whether browsers reach us over https."""
    return services.settings.public_url.startswith("https://")
