"""What Microsoft's published sign-in error numbers (AADSTS…) mean for a connection. Pure.

Source: learn.microsoft.com/entra/identity-platform/reference-error-codes, all numbers of the page. Microsoft may change them,
so a number only makes more precise what the answer's ``error`` says, and none that is unknown disconnects anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final


class SignInClass(StrEnum):
    """Whose matter a refusal is.

    `LOOP`: the server stopped us because we asked too often. `LATER`: it will pass. `OPERATOR`: our client, its secret or our
    request. `DIRECTORY`: the application or the service is missing or switched off in one directory. `ADMIN_CONSENT`: its
    administrator has to consent. `ADMIN_POLICY`: its administrator's policy keeps the user out. `RECONNECT`: the user signs in
    again. `OTHER`: belongs to sign-ins of another kind (SAML, Kerberos, devices, passwords); ``error`` decides.
    """

    LOOP = "loop"
    LATER = "later"
    OPERATOR = "operator"
    DIRECTORY = "directory"
    ADMIN_CONSENT = "admin_consent"
    ADMIN_POLICY = "admin_policy"
    RECONNECT = "reconnect"
    OTHER = "other"


# The members stand in the order in which they count, if an answer has several numbers: what disconnects somebody comes last.
NUMBERS: Final[Mapping[SignInClass, frozenset[int]]] = {
    SignInClass.LOOP: frozenset({50196}),
    SignInClass.LATER: frozenset({
        17003, 230109, 40008, 40010, 50000, 50033, 50087, 50088, 50166, 501621, 51005, 70012, 80001,
        80002, 80005, 80007, 80010, 80013, 80014, 90006, 90012, 90024, 90033, 90036, 90055, 90085,
        90090, 90091, 90092, 220501,
    }),
    SignInClass.OPERATOR: frozenset({
        28002, 28003, 50003, 50006, 50007, 50010, 50011, 50012, 50027, 50029, 50032, 50042, 50043,
        50048, 50049, 50050, 50146, 501461, 50147, 501491, 50169, 50194, 51000, 65002, 650057,
        67003, 70002, 700022, 700023, 700025, 700027, 70003, 700030, 70004, 70005, 700054, 70007,
        70011, 7000114, 7000215, 7000218, 7000222, 700229, 76021, 76026, 90004, 90005, 90007, 90009,
        90010, 9001023, 90013, 90014, 900144, 90015, 90016, 90023, 900236, 9002313, 9002332, 90027,
        900382, 900384, 90043, 900432, 90051, 90056, 900561, 900971, 90100, 901002, 90101, 90102,
        90107, 90117, 90121, 90124, 90125, 90126, 90130, 100007, 140000, 165004, 165900,
    }),
    SignInClass.DIRECTORY: frozenset({
        50001, 500011, 50059, 50128, 65005, 650052, 650054, 650056, 70001, 700011, 700016, 7000112,
        90002, 90019, 90038, 90099,
    }),
    # 900941 is not on the page; the consent screen's own answers have it.
    SignInClass.ADMIN_CONSENT: frozenset({90093, 90094, 900941, 90095}),
    SignInClass.ADMIN_POLICY: frozenset({
        50002, 500021, 500022, 50005, 500212, 500213, 50105, 50127, 50129, 50131, 50155, 50177,
        50178, 53000, 53001, 53002, 53003, 530032, 530034, 530035, 53011, 80012, 90084, 90123,
        1000031, 1000104, 240001,
    }),
    SignInClass.RECONNECT: frozenset({
        16000, 16001, 16002, 160021, 16003, 40009, 40015, 50013, 500133, 50014, 50015, 50020,
        500208, 50034, 50053, 50055, 50056, 50057, 50058, 50064, 50072, 50074, 50076, 50078, 50079,
        50085, 50086, 50089, 50097, 50125, 50126, 50132, 50133, 50135, 50136, 50139, 50140, 50143,
        50144, 501481, 50158, 50161, 50168, 50173, 50180, 50187, 50192, 50197, 50199, 51004, 51006,
        53004, 53010, 54000, 54005, 65001, 65004, 70000, 700005, 70008, 700082, 700084, 700020,
        70019, 70043, 81012, 90008, 90072, 90086, 135011, 1000000,
    }),
    SignInClass.OTHER: frozenset({
        20001, 20012, 20033, 50008, 5000819, 50017, 50061, 50068, 50070, 50071, 50099, 50107, 50120,
        50124, 501241, 50134, 50170, 51001, 52004, 70016, 70018, 75001, 75003, 75005, 750054,
        7500514, 7500529, 75008, 75011, 75016, 81004, 81005, 81006, 81007, 81009, 81010, 81011,
        90020, 90022, 90081, 90082, 90087, 90114, 90119, 90120, 120000, 120002, 120003, 120004,
        120005, 120008, 120011, 120012, 120013, 120014, 120015, 120016, 120018, 120020, 120021,
        130004, 130005, 130006, 130007, 130008, 135010, 140001, 220450, 221000, 240002, 1000002,
    }),
}  # fmt: skip

_CLASSES: Final = {number: kind for kind, numbers in NUMBERS.items() for number in numbers}
_REDIRECT_NUMBER: Final = 50011
_ORDER: Final = tuple(SignInClass)
_STATED: Final = re.compile(r"AADSTS(\d{1,9})\b")
_LONGEST_DESCRIPTION: Final = 4096
_MOST_NUMBERS: Final = 32


def sign_in_class(answer: Mapping[str, Any]) -> SignInClass | None:
    """Return the class of a refusal by the numbers that the answer states.

    None if it states none that is known. They stand in the list ``error_codes`` and in the text ``error_description``; either
    may be of any type.
    """
    known = {_CLASSES[number] for number in _stated(answer) if number in _CLASSES}
    return next((kind for kind in _ORDER if kind in known), None)


def wants_administrator(description: object) -> bool:
    """Return whether the consent screen's answer says that an administrator must consent."""
    return sign_in_class({"error_description": description}) is SignInClass.ADMIN_CONSENT


def wants_other_redirect(answer: Mapping[str, Any]) -> bool:
    """Return whether Microsoft says that the redirect address is not registered for the client.

    The code beside it is ``invalid_client``, as for a wrong secret.
    """
    return _REDIRECT_NUMBER in _stated(answer)


def _stated(answer: Mapping[str, Any]) -> Iterator[int]:
    numbers, description = answer.get("error_codes"), answer.get("error_description")
    if isinstance(numbers, list):
        yield from (number for number in numbers[:_MOST_NUMBERS] if isinstance(number, int))
    if isinstance(description, str):
        yield from (int(number) for number in _STATED.findall(description[:_LONGEST_DESCRIPTION])[:_MOST_NUMBERS])
