"""The rate limiter as a specification."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.config.replay import least_insert_lead
from mzpipe.errors import ConfigError
from mzpipe.replay.rate_limiter import OpenLimiter, RateLimiter


def limiter(**changes):
    sizes = {"batch_size": 32, "trajectory_length": 8, "capacity": 10_000}
    settings_ = {"samples_per_insert": 4.0, "min_size": 100, "max_insert_lead": 50, **sizes}
    return RateLimiter(**{**settings_, **changes})


def test_rate_limiter_blocks_sampling_until_min_size_is_in():
    limits = limiter()
    limits.inserted = 99
    assert not limits.can_sample(32)
    limits.inserted = 100
    assert limits.can_sample(32)


def test_rate_limiter_blocks_inserting_when_the_learner_lags():
    limits = limiter()
    limits.inserted = 150
    assert not limits.can_insert(1)
    limits.sampled = 32  # worth 8 transitions
    assert limits.can_insert(8)
    assert not limits.can_insert(9)


def test_rate_limiter_blocks_sampling_when_actors_lag():
    limits = limiter()
    limits.inserted = 100
    while limits.can_sample(32):
        limits.sampled += 32
    assert limits.sampled == 192  # 200 would be 50 transitions ahead
    limits.inserted += 8
    assert limits.can_sample(32)


@settings(max_examples=100)
@given(
    samples_per_insert=st.floats(0.1, 64.0),
    batch_size=st.integers(1, 64),
    record=st.integers(1, 32),
    spare=st.integers(0, 200),
    seed=st.integers(0, 2**32 - 1),
)
def test_rate_limiter_keeps_the_ratio_and_never_blocks_both(samples_per_insert, batch_size, record, spare, seed):
    lead = spare + least_insert_lead(
        batch_size=batch_size, samples_per_insert=samples_per_insert, trajectory_length=record
    )
    limits, coins = (
        limiter(
            samples_per_insert=samples_per_insert,
            max_insert_lead=lead,
            min_size=record,
            batch_size=batch_size,
            trajectory_length=record,
        ),
        Random(seed),
    )
    for _ in range(2_000):
        can_insert, can_sample = limits.can_insert(record), limits.can_sample(batch_size)
        assert can_insert or can_sample
        if can_insert and (coins.random() < 0.5 or not can_sample):
            limits.inserted += record
        elif can_sample:
            limits.sampled += batch_size
        if limits.sampled:
            assert abs(limits.inserted - limits.sampled / samples_per_insert - record) <= lead + record


def test_rate_limiter_refuses_a_corridor_in_which_both_sides_wait_for_ever_and_says_how_wide_it_must_be():
    with pytest.raises(ConfigError, match=r"max_insert_lead=7: .* would wait for each other for ever: .* at least 8$"):
        limiter(max_insert_lead=7)
    limiter(max_insert_lead=8)


def test_the_narrowest_refused_corridor_really_deadlocks():
    """The negative control: without the check, both sides wait."""
    limits = limiter(max_insert_lead=8)
    limits._max_insert_lead = 7
    limits.inserted, limits.sampled = 100, 0
    while limits.can_insert(8):
        limits.inserted += 8
    stuck = [
        (inserted, sampled)
        for inserted in range(100, 400, 4)
        for sampled in range(0, 1200, 32)
        if not _moves(limits, inserted, sampled)
    ]
    assert stuck


def _moves(limits, inserted, sampled):
    limits.inserted, limits.sampled = inserted, sampled
    return limits.can_insert(8) or limits.can_sample(32)


def test_rate_limiter_refuses_to_wait_for_more_than_the_table_holds():
    with pytest.raises(ConfigError, match=r"min_size_to_sample=100: the table holds 100 .* lower it to 92, or raise"):
        limiter(capacity=100)


@pytest.mark.parametrize(("inserted", "sampled"), [(5000, 4 * 4900), (5000, 0), (5000, 10**6), (40, 0)])
def test_rate_limiter_stays_inside_its_corridor_after_a_resume(inserted, sampled):
    limits = limiter()
    limits.resume(inserted=inserted, sampled=sampled)
    assert limits.inserted == inserted
    assert limits.can_insert(8) or limits.can_sample(32)
    if inserted == 5000 and sampled == 4 * 4900:
        assert limits.sampled == sampled
    for _ in range(100):  # neither side runs without the other for long
        limits.sampled += 32 * limits.can_sample(32)
    assert limits.sampled / 4.0 <= max(0, inserted - 100) + 50 + 8


def test_open_limiter_never_lets_sampling_wait():
    limits = OpenLimiter()
    assert limits.can_sample(10**9)
    assert not limits.can_insert(1)
