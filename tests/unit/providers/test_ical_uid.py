"""One UID for every copy of a meeting, in any calendar system."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meetbot.providers.ical_uid import instance_date_in_goid, normalise_ical_uid

HEAD = "040000008200E00074C5B7101A82E008"
CREATED = "30A1B2C3D4E5D801" + "00" * 8
OUTLOOK_DATA = "10000000" + "0123456789ABCDEF0123456789ABCDEF"


def goid(instance: str = "00000000", data: str = OUTLOOK_DATA) -> str:
    return HEAD + instance + CREATED + data


def foreign(uid: str, instance: str = "00000000") -> str:
    data = b"vCal-Uid\x01\x00\x00\x00" + uid.encode() + b"\x00"
    return goid(instance, len(data).to_bytes(4, "little").hex() + data.hex())


def test_an_occurrence_and_its_series_share_one_uid() -> None:
    assert normalise_ical_uid(goid("07EA030C")) == normalise_ical_uid(goid())


def test_two_outlook_meetings_keep_two_uids() -> None:
    other = "10000000" + "FEDCBA98765432100123456789ABCDEF"
    assert normalise_ical_uid(goid()) != normalise_ical_uid(goid(data=other))


def test_letter_case_of_a_hexadecimal_uid_does_not_matter() -> None:
    assert normalise_ical_uid(goid().lower()) == goid()


def test_a_google_meeting_seen_from_outlook_has_googles_uid() -> None:
    assert (
        normalise_ical_uid(foreign("qa87q2t552detf773508pdrchc@google.com")) == "qa87q2t552detf773508pdrchc@google.com"
    )


def test_one_occurrence_of_a_google_meeting_seen_from_outlook_has_googles_uid() -> None:
    assert normalise_ical_uid(foreign("abc@google.com", "07EA030C")) == "abc@google.com"


def test_a_series_that_google_split_keeps_its_own_uid() -> None:
    assert normalise_ical_uid("x_R20250409T120000@google.com") == "x_R20250409T120000@google.com"


def test_other_uids_keep_their_letter_case() -> None:
    assert normalise_ical_uid(" Ab-Cd@Example.com ") == "Ab-Cd@Example.com"


@pytest.mark.parametrize("raw", [None, "", "   ", 7, ["x"], "a\x00b", "a\ud800", "x" * 1025])
def test_what_cannot_be_a_uid_is_none(raw: object) -> None:
    assert normalise_ical_uid(raw) is None


@pytest.mark.parametrize("raw", [HEAD, HEAD + "00", goid() + "0", HEAD + "zz" * 30])
def test_a_broken_hexadecimal_uid_is_left_as_it_is(raw: str) -> None:
    assert normalise_ical_uid(raw) == raw


def test_the_instance_date_is_read() -> None:
    assert instance_date_in_goid(goid("07EA030C")) == date(2026, 3, 12)


@pytest.mark.parametrize("raw", [goid(), goid("07EA0D20"), "x@google.com", None, "", 5])
def test_a_series_a_wrong_date_or_another_uid_has_no_instance_date(raw: object) -> None:
    assert instance_date_in_goid(raw) is None


@given(st.one_of(st.text(), st.binary(max_size=80).map(lambda data: HEAD + data.hex())))
def test_normalising_twice_is_normalising_once(raw: str) -> None:
    once = normalise_ical_uid(raw)
    if once is not None:
        instance_date_in_goid(raw)
        # A foreign UID may itself look like one of Outlook's; what it stands for is only unwrapped once.
        assert b"vCal-Uid".hex().upper() in raw.upper() or normalise_ical_uid(once) == once
