"""One form of log for every process: JSON lines with an event name and codes.

An event is named ``area.thing_happened``, the same everywhere. A line never holds a secret or a person's data.
"""

from __future__ import annotations

import logging
import sys

import structlog

# They log whole URLs: codes, states, tickets and addresses stand there.
_SILENCED = {
    "uvicorn.access": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "urllib3": logging.WARNING,
    "hvac": logging.WARNING,
    "alembic": logging.WARNING,
}


def configure_logs(process: str) -> None:
    """Set up logging of this process. Call it once, before anything is logged."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for name, level in _SILENCED.items():
        logging.getLogger(name).setLevel(level)
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
    structlog.contextvars.bind_contextvars(process=process)
