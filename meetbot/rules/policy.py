"""Deciding by the policy of one calendar user: its rule sets, attributes and overrides."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from meetbot.domain.event import Event, Provider
from meetbot.domain.identity import Identity
from meetbot.domain.ids import derived_id
from meetbot.rules import (
    CompiledRules,
    Decision,
    DecisionContext,
    Layer,
    Override,
    RuleLayer,
    compile_rules,
    decide,
    stored_rule_set,
)
from meetbot.rules.never_record import NOTHING_LISTED, NeverRecord

_POLICY_REVISION: Final = "6"
"""Grows when deciding itself changes, so that stored decisions are made again after a deployment."""

TENANT_OWNER: Final = "tenant"
"""Owns the rule sets that are the tenant's own and no calendar user's."""


@dataclass(frozen=True, slots=True)
class StoredRuleSet:
    """A rule set in force as it is stored.

    ``layer`` is the value of a `Layer`, ``body`` the JSON document.
    """

    layer: str
    version: int
    body: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything a decision depends on besides the event and the time."""

    provider: Provider
    owner_email: str
    internal_domains: tuple[str, ...]
    attributes: Mapping[str, Any]
    rule_sets: tuple[StoredRuleSet, ...]
    occurrence_overrides: Mapping[str, str]
    series_overrides: Mapping[str, str]
    never_record: NeverRecord = NOTHING_LISTED

    @property
    def digest(self) -> str:
        """Return an id of the policy; if it differs, stored decisions may no longer hold."""
        return derived_id(
            "pol",
            _POLICY_REVISION,
            self.owner_email,
            *sorted(self.internal_domains),
            orjson.dumps(self.attributes, option=orjson.OPT_SORT_KEYS).decode(),
            *(f"{rules.layer}:{rules.version}" for rules in self.rule_sets),
            orjson.dumps([self.occurrence_overrides, self.series_overrides], option=orjson.OPT_SORT_KEYS).decode(),
            orjson.dumps(asdict(self.never_record)).decode(),
        )

    def override_for(self, identity: Identity) -> Override | None:
        """Return the override of an event; an occurrence's beats its series'."""
        said = self.occurrence_overrides.get(identity.shared_key) or self.series_overrides.get(identity.series_key)
        return Override(said) if said else None


def evaluation_order(rule_sets: Sequence[StoredRuleSet]) -> tuple[StoredRuleSet, ...]:
    """Return the rule sets in the order in which they are asked.

    Those locked before come first, then the user's own or else the tenant's default, then those locked after.
    """
    by_layer = {rules.layer: rules for rules in rule_sets}
    own = by_layer.get(Layer.USER) or by_layer.get(Layer.DEFAULT)
    ordered = (by_layer.get(Layer.LOCKED_BEFORE), own, by_layer.get(Layer.LOCKED_AFTER))
    return tuple(rules for rules in ordered if rules is not None)


Decider = Callable[[Event, Identity], Decision]


def decider(policy: Policy, *, now: datetime) -> Decider:
    """Return a function that decides on any number of events by one policy.

    What follows from the policy alone is worked out once.
    """
    rules = _compiled(evaluation_order(policy.rule_sets))
    contexts: dict[Override | None, DecisionContext] = {}

    def decide_one(event: Event, identity: Identity) -> Decision:
        override = policy.override_for(identity)
        context = contexts.get(override)
        if context is None:
            context = contexts[override] = _context(policy, override, now)
        return decide(event, context, rules)

    return decide_one


def _context(policy: Policy, override: Override | None, now: datetime) -> DecisionContext:
    return DecisionContext(
        owner_email=policy.owner_email,
        internal_domains=policy.internal_domains,
        attributes=policy.attributes,
        now=now,
        override=override,
        never_record=policy.never_record,
    )


@functools.lru_cache(maxsize=1024)
def _compiled(rule_sets: tuple[StoredRuleSet, ...]) -> CompiledRules:
    return compile_rules(
        [
            RuleLayer(
                rules=stored_rule_set(orjson.loads(stored.body)),
                version=str(stored.version),
                layer=Layer(stored.layer),
            )
            for stored in rule_sets
        ]
    )
