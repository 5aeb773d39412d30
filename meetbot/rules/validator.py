"""Everything that is wrong with a rule set document, each fault at its exact place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from meetbot.rules import language, vocabulary
from meetbot.rules.fact_test_checks import FactTestCheck
from meetbot.rules.fact_tests import MAX_LIST
from meetbot.rules.faults import (
    MOST_FAULTS,
    FaultCode,
    Finding,
    Findings,
    Place,
    TooManyFaults,
    did_you_mean,
    shown,
    step,
)


def check_document(document: object) -> list[Finding]:
    """Return all faults in reading order; none if the document is a rule set.

    Of more than `MOST_FAULTS` the last entry says that there are more. Never raises.
    """
    findings = Findings()
    try:
        _RuleSetCheck(findings).rule_set(document)
    except TooManyFaults:
        message = f"there are more faults; the first {MOST_FAULTS - 1} are listed"
        return [*findings.found[: MOST_FAULTS - 1], Finding((), FaultCode.MORE_FAULTS, message)]
    return findings.found


class _RuleSetCheck:
    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._fact_tests = FactTestCheck(findings)
        self._nodes = 0

    def rule_set(self, document: object) -> None:
        if not isinstance(document, Mapping):
            self._findings.wrong_type((), document, 'an object {"rules": […]}')
            return
        self._findings.known_fields((), document, ("rules", "all_day"))
        if not isinstance(document.get("all_day", False), bool):
            self._findings.wrong_type(("all_day",), document["all_day"], "true or false")
        if "rules" not in document:
            self._findings.add(("rules",), FaultCode.MISSING, "the list of rules is missing")
            return
        rules = document["rules"]
        if self._findings.is_list(rules, ("rules",), "rules", language.MAX_RULES):
            for index, rule in enumerate(rules):
                self._rule(("rules", index), rule)
            self._names(rules)

    def _names(self, rules: list[Any]) -> None:
        first_seen: dict[str, int] = {}
        for index, rule in enumerate(rules):
            name = rule.get("name") if isinstance(rule, Mapping) else None
            if isinstance(name, str) and (first := first_seen.setdefault(name.strip(), index)) != index:
                place = ("rules", index, "name")
                self._findings.add(
                    place, FaultCode.DUPLICATE_NAME, f"rules.{first} has the same name; names must differ"
                )

    def _rule(self, place: Place, rule: object) -> None:
        if not isinstance(rule, Mapping):
            self._findings.wrong_type(place, rule, 'an object {"name", "action", "when"}')
            return
        self._findings.known_fields(place, rule, ("name", "action", "when"))
        for field in ("name", "action", "when"):
            if field not in rule:
                self._findings.add((*place, field), FaultCode.MISSING, f"a rule needs {field!r}")
        if "name" in rule and self._findings.is_text(rule["name"], (*place, "name"), language.MAX_NAME):
            self._findings.is_not_blank((*place, "name"), rule["name"])
        if "action" in rule and rule["action"] not in tuple(language.Action):
            self._findings.add((*place, "action"), FaultCode.BAD_VALUE, 'expected "record" or "skip"')
        if "when" in rule:
            self._predicate((*place, "when"), rule["when"], depth=1)

    # --- predicates ---------------------------------------------------------------------------------------------------

    def _predicate(self, place: Place, predicate: object, *, depth: int) -> None:
        if not self._is_within_size(place, depth):
            return
        self._findings.each_key_once(place, predicate)
        if not isinstance(predicate, Mapping):
            self._findings.wrong_type(place, predicate, 'a predicate object such as {"internal": true}')
        elif not predicate:
            self._findings.add(place, FaultCode.EMPTY, 'a predicate names one fact, or "always", "all", "any" or "not"')
        elif len(predicate) > 1:
            names = ", ".join(shown(key) for key in list(predicate)[:4])
            message = f'one key at a time, found {len(predicate)} ({names}); join them with "all" or "any"'
            self._findings.add(place, FaultCode.SEVERAL_KEYS, message)
        else:
            ((key, test),) = predicate.items()
            self._keyed((*place, step(key)), key, test, depth=depth)

    def _is_within_size(self, place: Place, depth: int) -> bool:
        self._nodes += 1
        if depth > language.MAX_DEPTH:
            self._findings.add(place, FaultCode.TOO_DEEP, f"predicates nest at most {language.MAX_DEPTH} deep")
        elif self._nodes == language.MAX_NODES + 1:
            self._findings.add(place, FaultCode.TOO_MANY, f"a rule set has at most {language.MAX_NODES} predicates")
        return depth <= language.MAX_DEPTH and self._nodes <= language.MAX_NODES

    def _keyed(self, place: Place, key: object, test: object, *, depth: int) -> None:
        if key == "not":
            self._predicate(place, test, depth=depth + 1)
        elif key in ("all", "any"):
            if self._findings.is_list(test, place, "predicates", MAX_LIST, may_be_empty=False):
                for index, inner in enumerate(test):
                    self._predicate((*place, index), inner, depth=depth + 1)
        elif key == vocabulary.ALWAYS:
            self._always(place, test)
        elif key in vocabulary.FACTS:
            self._fact_tests.check(place, str(key), test)
        else:
            hint = did_you_mean(key, vocabulary.PREDICATES)
            self._findings.add(place, FaultCode.UNKNOWN_FACT, f"there is no fact {shown(key)}{hint}")

    def _always(self, place: Place, test: object) -> None:
        if not isinstance(test, bool):
            self._findings.wrong_type(place, test, "true")
        elif not test:
            message = (
                '{"always": true} matches every event; for none, write {"not": {"always": true}}, or leave the rule out'
            )
            self._findings.add(place, FaultCode.BAD_VALUE, message)
