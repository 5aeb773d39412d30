"""The operations port: who gets it, and what happens to the next one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import httpx
import pytest
import structlog.testing

from meetbot.dev.environment import free_port
from meetbot.ops import ops_app, ops_server
from meetbot.settings import Settings


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


def serve_and_ask(settings: Settings, path: str) -> int:
    async def asked() -> int:
        async with ops_server(settings, ops_app({})):
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await client.get(f"http://127.0.0.1:{settings.ops_port}{path}", timeout=10)
            return answer.status_code

    return asyncio.run(asked())


def test_a_process_is_asked_on_its_operations_port() -> None:
    assert serve_and_ask(on_port(free_port()), "/readyz") == 200


def test_a_process_runs_without_its_ops_port_if_that_is_taken(taken_port: int) -> None:
    with structlog.testing.capture_logs() as logs:
        assert asyncio.run(run_beside(on_port(taken_port)))
    (said,) = logs
    assert (said["event"], said["port"]) == ("ops.port_taken", taken_port)
    assert "MEETBOT_OPS_PORT" in said["next_step"]


def on_port(port: int) -> Settings:
    return Settings().model_copy(update={"ops_port": port})


async def run_beside(settings: Settings) -> bool:
    async with ops_server(settings, ops_app({})):
        return True
