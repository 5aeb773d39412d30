"""Serve a sandbox until interrupted."""

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
    """Parse the given arguments, or those of the process."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; default: %(default)s")
    parser.add_argument("--port", type=int, default=8900, help="port to listen on; default: %(default)s")
    parser.add_argument("--state", type=Path, help="file that keeps everything over a restart; default: none")
    parser.add_argument("--public-url", help="base address in links and documents; default: that of each request")
    parser.add_argument("--client-id", default=_DEFAULTS.client_id, help="of the OAuth client; default: %(default)s")
    parser.add_argument(
        "--client-secret", default=_DEFAULTS.client_secret, help="of the OAuth client; default: %(default)s"
    )
    parser.add_argument(
        "--redirect-uri",
        action="append",
        default=[],
        help="a registered one, may be repeated; default: all are accepted",
    )
    parser.add_argument("--api-key", default=_DEFAULTS.api_key, help="of the bot backend; default: %(default)s")
    parser.add_argument(
        "--webhook-secret", default=_DEFAULTS.webhook_secret, help="signs the backend's reports; default: %(default)s"
    )
    parser.add_argument("--empty", action="store_true", help="start without the sample people and meetings")
    return parser.parse_args(arguments)


def main() -> None:
    """Run the command `python -m sandbox`."""
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
            f"{arguments.state} is not a state file of this sandbox ({error.error_count()} errors). "
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
