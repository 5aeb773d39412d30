"""Run `meetbot links` as `python -m meetbot.links`, from standard input to standard output."""

import sys

from meetbot.links.cli import run

sys.exit(run(sys.stdin.buffer, sys.stdout.write))
