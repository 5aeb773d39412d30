"""What only the worker can find out about a calendar user.

That is whether its token is good, and whether the backend answers.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from datetime import datetime, timedelta

import structlog
from temporalio import activity

from activities.services import Services
from meetbot.errors import BackendError, BackendRefused, ProviderError, VaultError
from meetbot.providers.http import Deadline
from meetbot.storage.calendar_user_context import CalendarUserContext, load_context
from meetbot.storage.user_checks import note_check
from meetbot.temporal.calendar_messages import ANSWERED, CheckRequest, CheckResult
from meetbot.temporal.messages import ActivityName

_PROVIDER_SECONDS = 3.5
_BACKEND_SECONDS = 3.5
# Of whomever it is asked about, the backend is the same.
_BACKEND_KNOWN_FOR = timedelta(seconds=30)
_NO_BOT = "meetbot-check"
_KEY_REFUSED = ("backend_refused_401", "backend_refused_403")
_log = structlog.get_logger(__name__)


class CheckingActivity:
    """The activity behind the check of a calendar user."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._backend: tuple[datetime, str] | None = None
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="backend-check")

    @activity.defn(name=ActivityName.CALENDAR_CHECK, no_thread_cancel_exception=True)
    def check(self, request: CheckRequest) -> CheckResult:
        """Ask the provider, if it is to be asked, and the backend; note both answers."""
        with self._services.database.transaction(request.tenant_id) as session:
            user = load_context(session, request.tenant_id, request.calendar_user_id)
        if user is None:
            return CheckResult()
        asked = self._begin_backend()
        provider = self._ask_provider(user) if request.asks_provider and user.is_connected else ""
        result = CheckResult(provider=provider, backend=self._backend_answer(asked))
        with self._services.database.transaction(request.tenant_id) as session:
            note_check(session, user.tenant_id, user.id, result.provider, result.backend, at=self._services.clock())
        return result

    def _ask_provider(self, user: CalendarUserContext) -> str:
        """Make the smallest request that needs the token.

        What its refusal means is for the next sync to act on.
        """
        deadline = Deadline(_PROVIDER_SECONDS)
        provider = self._services.providers[user.provider]
        try:
            self._services.tokens.call(
                user,
                lambda token: provider.check_access(token, timeout_seconds=max(deadline.remaining(), 0.1)),
                deadline=deadline,
            )
        except (ProviderError, VaultError) as error:
            return error.code
        except Exception as error:
            _log.error("check.failed", tenant_id=user.tenant_id, calendar_user_id=user.id, code=type(error).__name__)
            return "internal_error"
        return ANSWERED

    def _begin_backend(self) -> Future[str] | None:
        """Begin to ask the backend, unless it was asked a moment ago.

        The provider is asked meanwhile.
        """
        now = self._services.clock()
        with self._lock:
            if self._backend is not None and now < self._backend[0] + _BACKEND_KNOWN_FOR:
                return None
        return self._threads.submit(self._backend_code)

    def _backend_answer(self, asked: Future[str] | None) -> str:
        if asked is None:
            with self._lock:
                return self._backend[1] if self._backend is not None else ""
        try:
            code = asked.result(timeout=_BACKEND_SECONDS)
        except TooSlow:
            asked.cancel()
            code = "backend_slow"
        with self._lock:
            self._backend = (self._services.clock(), code)
        return code

    def _backend_code(self) -> str:
        """Ask for a bot that cannot be: whoever refuses that has answered, and taken our key."""
        try:
            self._services.backend.progress(_NO_BOT)
        except BackendRefused as error:
            return error.code if error.code in _KEY_REFUSED else ANSWERED
        except BackendError as error:
            return error.code
        return ANSWERED
