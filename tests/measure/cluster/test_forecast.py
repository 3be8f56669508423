"""The arithmetic of pods, against numbers worked by hand."""

import dataclasses
import math

import pytest

from mzpipe.measure.cluster.cargo import Cargo
from mzpipe.measure.cluster.forecast import LINK_IN, LINK_OUT, PLAYING, Cluster, forecast, useful_pods
from mzpipe.measure.cluster.rates import Rates

CARGO = Cargo(transition=1_000.0, position=8_000.0, target=100.0, weights=1e6)
RATES = Rates(actor=100.0, inference=1_000.0, replay=20_000.0, learner=5_000.0)
# Four pods of 5 actors: 500 env steps/s each.
SMALL = Cluster(
    pods=4, actors=5, head_actors=0, samples_per_insert=4.0, batch_size=100, publish_interval=10, link=12.5e6
)


def test_pods_play_what_their_actors_can():
    found = forecast(SMALL, RATES, CARGO)
    assert (found.env_steps_per_s, found.bound) == (2_000.0, PLAYING)
    assert found.head.received == 2_000.0 * 1_000.0
    assert found.pod.sent == 500.0 * 1_000.0
    # 2,000 * 4 samples/s are 80 steps/s: a version every 10 steps, 0.125 s.
    assert found.version_s == 0.125
    # Four copies of 1 MB over 12.5 MB/s take 0.32 s: not every version reaches every pod.
    assert found.fan_out_s == pytest.approx(0.32)
    assert found.head.sent == pytest.approx(12.5e6)
    assert found.pod.received == pytest.approx(12.5e6 / 4)


def test_weights_that_come_rarely_leave_the_link_free():
    found = forecast(dataclasses.replace(SMALL, publish_interval=100), RATES, CARGO)
    assert found.version_s == 1.25
    assert found.head.sent == pytest.approx(4 * 1e6 / 1.25)


def test_one_server_bounds_the_actors_of_its_pod():
    assert forecast(dataclasses.replace(SMALL, actors=50), RATES, CARGO).bounds[PLAYING] == 4 * 1_000.0


def test_the_learner_bounds_many_pods():
    found = forecast(dataclasses.replace(SMALL, pods=20), RATES, CARGO)
    assert (found.env_steps_per_s, found.bound) == (5_000.0, "learner")
    assert found.head.received == 5_000.0 * 1_000.0


def test_a_slow_link_bounds_what_comes_in():
    found = forecast(dataclasses.replace(SMALL, link=1e6), RATES, CARGO)
    assert (found.env_steps_per_s, found.bound) == (1_000.0, LINK_IN)


def test_actors_of_the_head_need_no_link():
    # 500 of 1,000 env steps are played by the pod.
    found = forecast(dataclasses.replace(SMALL, pods=1, head_actors=5), RATES, CARGO)
    assert found.env_steps_per_s == 1_000.0
    assert found.head.received == 500.0 * 1_000.0


def test_actors_of_the_head_play_all_they_can_where_the_link_bounds_those_of_pods():
    found = forecast(dataclasses.replace(SMALL, head_actors=5, link=1e6), RATES, CARGO)
    assert (found.env_steps_per_s, found.bound) == (500.0 + 1_000.0, LINK_IN)
    assert found.head.received == 1e6


def test_positions_go_out_and_targets_come_in():
    # A quarter of 4 samples per env step: one position out and one target in for each.
    found = forecast(dataclasses.replace(SMALL, reanalyzed=0.25, publish_interval=10_000), RATES, CARGO)
    assert found.bounds[LINK_OUT] == pytest.approx(12.5e6 / 8_000.0)
    assert found.bounds[LINK_IN] == pytest.approx(12.5e6 / 1_100.0)
    assert (found.env_steps_per_s, found.bound) == (1_562.5, LINK_OUT)
    assert found.head.received == pytest.approx(1_562.5 * 1_100.0)
    assert math.isinf(found.fan_out_s)  # nothing is left for weights


def test_without_pods_no_link_carries_anything():
    found = forecast(dataclasses.replace(SMALL, pods=0, head_actors=5), RATES, CARGO)
    assert found.head == found.pod == (0.0, 0.0)
    assert found.env_steps_per_s == 500.0


def test_useful_pods_are_those_that_the_learner_pays_for():
    assert useful_pods(SMALL, RATES, CARGO) == 11  # ten play 5,000, exactly the learner's
    assert useful_pods(dataclasses.replace(SMALL, head_actors=5), RATES, CARGO) == 10
    assert useful_pods(dataclasses.replace(SMALL, link=2e6), RATES, CARGO) == 5
    assert useful_pods(dataclasses.replace(SMALL, head_actors=100), RATES._replace(learner=400.0), CARGO) == 0


def test_a_thousand_actors_on_a_hundred_nodes():
    """EfficientZero's size on CPUs: 191 env steps/s a server, frames of 96 x 96 bytes, 33 MB of weights, 10 Gbit/s."""
    cluster = Cluster(
        pods=100, actors=10, samples_per_insert=4.0, batch_size=256, publish_interval=100, link=10_000 * 125_000.0
    )
    rates = Rates(actor=2_247.0, inference=191.0, replay=18_516.0, learner=9_600.0)
    found = forecast(cluster, rates, Cargo(transition=720.0, position=0.0, target=0.0, weights=33e6))
    assert found.bounds[PLAYING] == 19_100.0
    assert (found.env_steps_per_s, found.bound) == (9_600.0, "learner")
    assert found.head.received == pytest.approx(6.912e6)  # 55 Mbit/s
    assert found.version_s == pytest.approx(0.667, abs=1e-3)
    assert found.fan_out_s == pytest.approx(2.64)  # every pod gets about every fourth version
    assert found.head.sent == pytest.approx(1.25e9)
