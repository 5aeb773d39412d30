"""``python -m meetbot.rules RULES.json < EVENTS.jsonl``"""

from __future__ import annotations

import sys
from pathlib import Path

from meetbot.domain.json_objects import parse_json
from meetbot.rules.cli import EXIT_BAD_RULES, run


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m meetbot.rules RULES.json < EVENTS.jsonl\n")
        return EXIT_BAD_RULES
    try:
        document = parse_json(Path(arguments[0]).read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        sys.stderr.write(f"cannot read the rules: {error}\n")
        return EXIT_BAD_RULES
    return run(document, sys.stdin.buffer, sys.stdout.write)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
