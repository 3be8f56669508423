"""The simulation of pods: against formulas of queues, and against the arithmetic where nothing waits."""

import dataclasses

import pytest

from mzpipe.measure.cluster.simulation import Simulation, Work

# A table that is still filling: no learner, and the rate limiter never binds.
FREE = {"min_size": 10**12}


def simulate(work, seconds=200.0, warm_s=20.0):
    return Simulation(work).run(warm_s=warm_s, seconds=seconds)


@pytest.mark.parametrize("load", [0.5, 0.8])
def test_wait_before_the_head_is_pollaczeks_and_khinchines(load):
    """100 actors that each play at random make a Poisson stream; service takes a fixed time: M/D/1."""
    service_s = 0.01
    rate = load / service_s
    work = Work(pods=100, actors=1, play_s=100 / rate, jitter=1.0, ring_slots=1_000, head_link_s=service_s, **FREE)
    found = simulate(work, seconds=4_000.0)
    assert found.busy["head's link"] == pytest.approx(load, rel=0.03)
    assert found.wait_s["head's link"] == pytest.approx(load * service_s / (2 * (1 - load)), rel=0.1)


def test_records_pass_at_the_rate_at_which_they_are_played():
    found = simulate(Work(pods=4, actors=5, play_s=0.64, head_link_s=1e-3, pod_link_s=1e-3, **FREE))
    assert found.env_steps_per_s == pytest.approx(4 * 5 * 64 / 0.64, rel=0.01)
    assert found.blocked == 0.0


@pytest.mark.parametrize(
    ("slow", "name", "rate"),
    [
        ({"pod_link_s": 1.0}, "pods' links", 4 * 64.0),
        ({"head_link_s": 0.1}, "head's link", 640.0),
        ({"replay_s": 0.2}, "replay", 320.0),
    ],
)
def test_slowest_station_sets_the_rate_and_the_rings_stay_full(slow, name, rate):
    found = simulate(Work(pods=4, actors=5, play_s=0.64, ring_slots=8, **FREE, **slow), seconds=400.0, warm_s=100.0)
    assert found.env_steps_per_s == pytest.approx(rate, rel=0.01)
    assert found.busy[name] == pytest.approx(1.0, rel=0.01)
    assert found.blocked == pytest.approx(1.0 - rate / 2_000.0, abs=0.02)
    # No queue grows: at most the slots of all rings wait.
    assert found.wait_s[name] <= 4 * 5 * 8 * slow[next(iter(slow))]


def test_learner_sets_the_rate_and_samples_per_insert_holds():
    work = Work(
        pods=4, actors=5, play_s=0.64, step_s=0.1, batch_size=64, samples_per_insert=2.0, min_size=500, ring_slots=4
    )
    found = simulate(work)
    assert found.learner_steps_per_s == pytest.approx(10.0, rel=0.01)
    assert found.env_steps_per_s == pytest.approx(320.0, rel=0.02)  # 10 * 64 / 2
    assert found.samples_per_insert == pytest.approx(2.0, rel=0.02)


def publishing(weights_s):
    """Four pods, a version every second, and so long a way of each."""
    return Work(
        pods=4,
        actors=5,
        play_s=0.2,
        ring_slots=4,
        step_s=0.01,
        publish_interval=100,
        weights_s=weights_s,
        batch_size=64,
        samples_per_insert=1.0,
        min_size=500,
    )


def test_weights_are_as_old_as_their_interval_and_their_way():
    """A version every second; each is copied to four pods in 0.1 s each, so they come after 0.1, 0.2, 0.3 and 0.4 s."""
    found = simulate(publishing(weights_s=0.1))
    assert found.learner_steps_per_s == pytest.approx(100.0, rel=0.02)
    assert found.weights_age_s == pytest.approx(0.5 + 0.25, abs=0.05)
    assert found.versions_behind == pytest.approx(0.25, abs=0.05)


def test_slow_fan_out_skips_versions_but_every_pod_gets_some():
    """Four pods take 4 s, a version 1 s: a copy, when it comes, is 1 s old, and serves for 4 s."""
    found = simulate(publishing(weights_s=1.0))
    assert 3.0 <= found.weights_age_s <= 4.0  # 1 + 4 / 2, and up to the interval before it begins
    assert 2.0 <= found.versions_behind <= 4.0


def test_same_seed_same_outcome():
    work = Work(pods=3, actors=2, play_s=0.3, jitter=0.5, head_link_s=0.02, step_s=0.01)
    first, again = (dataclasses.asdict(Simulation(work, seed=3).run(warm_s=10.0, seconds=50.0)) for _ in range(2))
    assert first == again
