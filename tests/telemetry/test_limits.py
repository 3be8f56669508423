"""How long a run still takes."""

import math

import pytest

from mzpipe.telemetry import seconds_to_limit
from mzpipe.telemetry.snapshot import progress, seconds_to

from .samples import training


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({"env_steps": (1_000, 3_040), "learner_steps": (0, 14_800)}, 2.0),
        ({"env_steps": (0, 102_000), "learner_steps": (0, 1_480)}, 10.0),
        ({"env_steps": (0, 102_000), "minutes": (29.5, 30.0)}, 30.0),
    ],
)
def test_seconds_to_limit_takes_the_shortest_estimate(limits: dict[str, tuple[float, float]], seconds: float) -> None:
    assert seconds_to_limit(training(limits=limits)) == pytest.approx(seconds)


def test_seconds_to_limit_is_none_when_only_a_return_ends_the_run() -> None:
    assert seconds_to_limit(training(limits={"return_mean": (120.5, 475.0)})) is None
    assert seconds_to_limit(training(limits={})) is None


def test_seconds_to_limit_is_none_while_nothing_moves() -> None:
    snapshot = training(limits={"env_steps": (0, 100)}, metrics={"perf/env_steps_per_s": 0.0})
    assert seconds_to_limit(snapshot) is None


def test_seconds_to_is_zero_when_a_limit_is_reached() -> None:
    assert (
        seconds_to(training(limits={"env_steps": (120, 100)}, metrics={"perf/env_steps_per_s": 0.0}), "env_steps")
        == 0.0
    )


@pytest.mark.parametrize(
    ("now", "limit", "fraction"),
    [(25, 100, 0.25), (120, 100, 1.0), (-21.0, 18.0, 0.0), (-500.0, -100.0, 0.2), (-90.0, -100.0, 1.0)]
    + [(-5.0, 0.0, 0.0), (0.0, 0.0, 1.0), (math.nan, 18.0, 0.0)],
)
def test_progress_stays_within_its_bounds_when_returns_are_negative(now: float, limit: float, fraction: float) -> None:
    assert progress(now, limit) == pytest.approx(fraction)
