"""Fixtures for all tests. Servers start only when a test asks for one."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.rig import rig
from tests.sandbox_client import sandbox_server
from tests.stack import (
    fresh_database,
    login,
    migrated_template,
    own_vault,
    postgres_server,
    postgres_url,
    stack_directory,
    temporal_address,
    vault_service,
)

__all__ = [
    "fresh_database",
    "login",
    "migrated_template",
    "own_vault",
    "postgres_server",
    "postgres_url",
    "rig",
    "sandbox_server",
    "stack_directory",
    "temporal_address",
    "vault_service",
]

# How long an example takes depends on the machine and its load.
settings.register_profile("ours", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")
