"""A program of ours that loads its libraries while the servers still boot.

``python -m meetbot.dev.preloaded LOAD RUN ARGUMENT...`` imports the module LOAD, waits for its environment as one JSON line on
standard input, and becomes ``python -m RUN ARGUMENT...``. Loading takes most of a program's start, and needs nothing that the
servers give.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys

_LONGEST_LINE = 1 << 20


def main(load: str, run: str, arguments: list[str]) -> None:
    # `python -m` would find modules beside the working directory, too.
    sys.path.insert(0, os.getcwd())
    importlib.import_module(load)
    line = sys.stdin.readline(_LONGEST_LINE)
    if not line:
        sys.exit("the development stack ended before this program was started")
    os.environ.update(json.loads(line))
    sys.argv = [run, *arguments]
    runpy.run_module(run, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
