"""The rate limiter as a specification."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from mzpipe.config.replay import least_insert_lead
from mzpipe.replay.rate_limiter import RateLimiter


def limiter(**changes):
    settings_ = {"samples_per_insert": 4.0, "min_size": 100, "max_insert_lead": 50}
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


@settings(max_examples=100, deadline=None)
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
    limits, coins = limiter(samples_per_insert=samples_per_insert, max_insert_lead=lead, min_size=record), Random(seed)
    for _ in range(2_000):
        can_insert, can_sample = limits.can_insert(record), limits.can_sample(batch_size)
        assert can_insert or can_sample
        if can_insert and (coins.random() < 0.5 or not can_sample):
            limits.inserted += record
        elif can_sample:
            limits.sampled += batch_size
        if limits.sampled:
            assert abs(limits.inserted - limits.sampled / samples_per_insert - record) <= lead + record
