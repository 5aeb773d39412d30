"""The benchmarks on tiny calendars, and their counts that no machine changes."""

from __future__ import annotations

import pytest

from bench.harness import Meter, machine
from bench.sync import Repetitions, measure, measure_calendar
from meetbot.domain.event import Provider
from tests.rig import Rig

pytestmark = pytest.mark.stack

ONCE = Repetitions(first=1, unchanged=1, one_changed=1)


def test_the_sync_benchmark_measures_every_case_of_every_calendar(rig: Rig) -> None:
    results = measure(rig, (3, 20), list(Provider), ONCE)
    assert [(result["provider"], result["events"]) for result in results] == [
        (provider.value, events) for provider in Provider for events in (3, 20)
    ]
    for result in results:
        for case in ("first", "unchanged", "one_changed"):
            assert result[case]["activity_cpu_ms"] > 0
            assert result[case]["database_cpu_ms"] > 0
            assert result[case]["statements"] > 0
            assert result[case]["transactions"] > 0


@pytest.mark.parametrize("provider", list(Provider))
def test_an_unchanged_sync_takes_five_statements_for_any_number_of_events(rig: Rig, provider: Provider) -> None:
    meter = Meter()
    meter.watch(rig.database)
    few, many = (measure_calendar(rig, meter, provider, events, ONCE) for events in (3, 60))
    assert few["unchanged"]["statements"] == many["unchanged"]["statements"] <= 5


@pytest.mark.parametrize("provider", list(Provider))
def test_first_and_changed_syncs_take_no_statements_per_event(rig: Rig, provider: Provider) -> None:
    meter = Meter()
    meter.watch(rig.database)
    few, many = (measure_calendar(rig, meter, provider, events, ONCE) for events in (3, 60))
    # Claims take one statement if there are any: three meetings may all lie beyond the horizon.
    assert many["first"]["statements"] <= few["first"]["statements"] + 1
    assert few["one_changed"]["statements"] == many["one_changed"]["statements"]


def test_results_name_the_machine_they_were_measured_on() -> None:
    assert set(machine()) == {"cores", "processor", "python", "yardstick_ms"}
