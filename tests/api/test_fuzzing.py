"""The document and the service agree, whatever is sent: a foreign tool asks, in process."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import checks
from schemathesis.generation import GenerationMode

from api.app import create_app
from tests.api.conftest import Front, Tenant
from tests.api.test_isolation import OPERATIONS

CHECKED: Any = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def document(api_front: Front) -> Any:
    """Read from an application of its own, since each call of the tool starts and ends it."""
    own = create_app(api_front.services.settings, api_front.services)
    return schemathesis.openapi.from_asgi("/openapi.json", own)


# Where every text fits, there is nothing unfitting to send.
TAKES_ANY_TEXT = {
    "/v1/calendar/authorize/{ticket}",
    "/v1/calendar/reconnect/{token}",
    "/v1/calendar/admin-consent/{token}",
    "/v1/calendar/continue/{token}",
    "/healthz",
}
CASES = [
    pytest.param(method, path, mode, id=f"{mode.name.lower()}-{method}-{path}")
    for method, path in OPERATIONS
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if mode is GenerationMode.POSITIVE or path not in TAKES_ANY_TEXT
]


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_every_answer_is_one_that_the_document_names(
    document: Any, tenant: Tenant, method: str, path: str, mode: GenerationMode
) -> None:
    operation = document[path][method.upper()]

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=6,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case: Any) -> None:
        response = case.call(headers=tenant.headers, allow_redirects=False)
        case.validate_response(response, checks=CHECKED)

    ask()
