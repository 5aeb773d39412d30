"""``python -m meetbot.rules RULES.json < EVENTS.jsonl``"""

from __future__ import annotations

import codecs
import sys
from pathlib import Path

import orjson

from meetbot.rules.cli import EXIT_BAD_RULES, run


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m meetbot.rules RULES.json < EVENTS.jsonl\n")
        return EXIT_BAD_RULES
    try:
        document = orjson.loads(Path(arguments[0]).read_bytes().removeprefix(codecs.BOM_UTF8))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot read the rules: {error}\n")
        return EXIT_BAD_RULES
    return run(document, sys.stdin.buffer, sys.stdout.write)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
