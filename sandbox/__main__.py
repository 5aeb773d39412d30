"""``python -m sandbox``: serve a sandbox until interrupted."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from pydantic import ValidationError

from sandbox.app import create_app
from sandbox.config import SandboxConfig

_DEFAULTS = SandboxConfig()


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Those of the process where none are given."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--state", type=Path, help="file that keeps everything over a restart")
    parser.add_argument("--public-url", help="how clients reach it; default: as they ask")
    parser.add_argument("--client-id", default=_DEFAULTS.client_id)
    parser.add_argument("--client-secret", default=_DEFAULTS.client_secret)
    parser.add_argument("--redirect-uri", action="append", default=[], help="registered; none: any is")
    parser.add_argument("--api-key", default=_DEFAULTS.api_key, help="of the bot backend")
    parser.add_argument("--webhook-secret", default=_DEFAULTS.webhook_secret, help="signs the backend's reports")
    parser.add_argument("--empty", action="store_true", help="start without the seeded people and meetings")
    return parser.parse_args(arguments)


def main() -> None:
    arguments = parse_arguments()
    config = SandboxConfig(
        public_url=arguments.public_url,
        client_id=arguments.client_id,
        client_secret=arguments.client_secret,
        api_key=arguments.api_key,
        webhook_secret=arguments.webhook_secret,
        state_file=arguments.state,
        redirect_uris=tuple(arguments.redirect_uri),
        seed=not arguments.empty,
    )
    try:
        app = create_app(config)
    except ValidationError as error:
        raise SystemExit(
            f"{arguments.state} is no state file of this sandbox ({error.error_count()} faults). "
            "Move it away to start afresh."
        ) from None
    # No access log: query strings hold authorization codes.
    uvicorn.run(
        app,
        host=arguments.host,
        port=arguments.port,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=3,
    )


if __name__ == "__main__":
    main()
