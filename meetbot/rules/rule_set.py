"""A rule set as customers send it: checked as a whole, then read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from meetbot.errors import Fault, InvalidInput
from meetbot.rules import language
from meetbot.rules.faults import Finding
from meetbot.rules.language import Action, Predicate
from meetbot.rules.validator import check_document

_STORED = {"stored": True}


class Rule(BaseModel):
    """One sentence of policy: what to do with the events for which the predicate holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    name: Annotated[str, Field(min_length=1, max_length=language.MAX_NAME)]
    action: Action
    when: Predicate


class RuleSetBody(BaseModel):
    """Rules run in the listed order, and the first that matches decides.

    If none matches, the event is skipped. All-day events are skipped unless `all_day` is true, or the rule itself names the
    fact `all_day` as true."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        serialize_by_alias=True,
        json_schema_extra={"examples": [language.EXAMPLE]},
    )

    rules: Annotated[list[Rule], Field(max_length=language.MAX_RULES)]
    all_day: bool = False

    @model_validator(mode="before")
    @classmethod
    def _refuse_faults(cls, document: Any, info: ValidationInfo) -> Any:
        """Raise for all faults, as `parse_rule_set` does, whoever validates the document."""
        if info.context is _STORED:
            return document
        findings = check_document(document)
        if findings:
            raise ValidationError.from_exception_data("rule set", [_detail(finding) for finding in findings])
        return document

    def document(self) -> dict[str, Any]:
        """Return the JSON document that this was read from, with its defaults."""
        return self.model_dump(mode="json", exclude_none=True)


def parse_rule_set(document: object) -> RuleSetBody:
    """Return the rule set of a document.

    Raises `InvalidInput` (``invalid_rules``) with one fault for each thing that is wrong.
    """
    findings = check_document(document)
    if findings:
        faults = tuple(Fault(finding.path, str(finding.code), finding.message) for finding in findings)
        first = f"{faults[0].path}: {faults[0].message}" if faults[0].path else faults[0].message
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise InvalidInput(
            "invalid_rules", first + more, faults, next_step="mend every fault and send the whole set again"
        )
    return RuleSetBody.model_validate(document)


def stored_rule_set(document: object) -> RuleSetBody:
    """Return a rule set that was accepted when it was put, without checking it again.

    A limit that has become tighter since must not stop what it decides.
    """
    return RuleSetBody.model_validate(document, context=_STORED)


def _detail(finding: Finding) -> InitErrorDetails:
    # Braces in a message would be taken for a template's fields.
    error = PydanticCustomError(finding.code.value, "{message}", {"message": finding.message})
    return InitErrorDetails(type=error, loc=finding.place, input=None)
