"""Logs: one JSON object per line on standard output, and silence where a library would log secrets."""

from __future__ import annotations

import logging
import sys

import structlog

# They log whole URLs: codes, states, tickets and addresses stand there.
_SILENCED = {
    "uvicorn.access": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "hvac": logging.WARNING,
}


def configure_logging() -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=False,
    )
    for name, level in _SILENCED.items():
        logging.getLogger(name).setLevel(level)
