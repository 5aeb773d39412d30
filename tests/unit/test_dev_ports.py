"""Choosing ports while others do the same."""

from __future__ import annotations

import socket
import subprocess
import sys

from meetbot.dev.environment import HOST, free_port


def test_the_usual_port_is_taken_where_it_is_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        usual = server.getsockname()[1]
    assert free_port(usual) == usual


def test_no_port_is_chosen_that_the_system_may_give_to_a_connection() -> None:
    assert all(free_port() < 32_768 for _ in range(20))


def test_a_port_somebody_listens_on_is_left_alone() -> None:
    with socket.create_server((HOST, 0)) as server:
        usual = server.getsockname()[1]
        assert free_port(usual) != usual


def test_a_port_is_given_away_once_although_nobody_listens_on_it_yet() -> None:
    usual = free_port()
    assert free_port(usual) != usual


def test_two_processes_that_start_at_once_are_not_given_the_same_port() -> None:
    usual = free_port()
    choice = f"from meetbot.dev.environment import free_port; print(free_port({usual}))"
    other = subprocess.run([sys.executable, "-c", choice], capture_output=True, text=True, check=True, timeout=60)
    assert int(other.stdout) != usual


def test_a_claim_ends_with_its_process() -> None:
    with socket.create_server((HOST, 0)) as server:
        usual = server.getsockname()[1]
    choice = f"from meetbot.dev.environment import free_port; print(free_port({usual}))"
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", choice], capture_output=True, text=True, check=True, timeout=60)
        assert int(run.stdout) == usual
