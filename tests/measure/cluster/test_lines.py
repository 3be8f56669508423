"""What a plan says of links, and which it refuses."""

import pytest

from mzpipe.errors import PlanError
from mzpipe.games import describe_game
from mzpipe.launch.plan import ModelSizes, make_plan
from mzpipe.launch.roles import Devices
from mzpipe.measure.cluster.cargo import cargo_of
from mzpipe.measure.cluster.forecast import Cluster, forecast
from mzpipe.measure.cluster.lines import link_lines, simulate
from mzpipe.measure.cluster.rates import Rates
from tests.tiny import tiny_profile

PACKET = 1_500 / 1_448
RATES = Rates(actor=100.0, inference=1_000.0, replay=20_000.0, learner=350.0, source="here, today")


def shape_of(profile):
    devices = Devices.assumed(profile)
    return make_plan(profile, describe_game(profile.game), devices, ModelSizes(weights=10_000)).shape


def lines_of(rates, *overrides):
    profile = tiny_profile("cluster.pods=2", *overrides)
    return "\n".join(link_lines(profile, shape_of(profile), rates))


def test_bytes_of_cartpole_by_hand():
    """A frame of 16 bytes; action, reward, player, 2 legal, 2 of the policy, value, version; 32 bytes per 5 steps."""
    cargo = cargo_of(tiny_profile(), shape_of(tiny_profile()))
    assert cargo.transition == pytest.approx(PACKET * (16 + 4 + 4 + 1 + 2 + 8 + 4 + 8 + 32 / 5))
    assert cargo.weights == pytest.approx(PACKET * 10_000)


def test_frames_of_bytes_are_compressed():
    choices = ["game.name='Pong'", "game.atari.image_size=64", "network.kind='residual'"]
    plain, small = (
        cargo_of(profile, shape_of(profile))
        for profile in (tiny_profile(*choices, f"replay.compression_ratio={ratio}") for ratio in (1.0, 16.0))
    )
    assert plain.transition - small.transition == pytest.approx(PACKET * 4_096 * 15 / 16)


def test_without_rates_a_plan_says_what_the_link_could_carry():
    lines = lines_of(None, "cluster.link_mbit=1.0")
    assert "a transition takes 55B, the weights 10.4kB" in lines
    assert "cluster.link_mbit=1 carries 2,260 transitions/s" in lines
    assert "rates are not known: mzpipe profile PROFILE --ceilings --json F" in lines


def test_with_rates_it_says_the_rate_and_what_bounds_it():
    lines = lines_of(RATES, "cluster.link_mbit=10.0")
    # Two pods of an actor, and the actor of the head: 300 env steps/s, of which pods play 200.
    assert (
        "300 env steps/s, bound by playing (at most: playing 300, learner 350, replay 20,000, link into the head"
        in lines
    )
    assert "this machine sends" in lines and "and receives 11.1kB/s: " in lines and "cluster.link_mbit=10" in lines
    assert "rate      from here, today" in lines
    assert "simulated: 3" in lines or "simulated: 29" in lines


def test_it_says_which_pods_only_wait():
    assert "learner bounds the run from 3 pods on: the others wait" in lines_of(RATES, "cluster.pods=8")
    assert "learner bounds the run without any pod: all of them wait" in lines_of(RATES._replace(learner=50.0))


def test_it_refuses_a_link_that_cannot():
    with pytest.raises(PlanError, match=r"link into the head: 300 env .* cluster.link_mbit=0.05 carries 71% .* lower"):
        lines_of(RATES, "cluster.link_mbit=0.05")


@pytest.mark.parametrize("pods", [1, 4, 16])
@pytest.mark.parametrize("learner", [150.0, 400.0, 1e9])
@pytest.mark.parametrize("link_mbit", [0.2, 100.0])
def test_simulation_comes_to_the_rate_of_the_arithmetic(pods, learner, link_mbit):
    profile = tiny_profile(f"cluster.pods={pods}", f"cluster.link_mbit={link_mbit}", "cluster.actors=2")
    shape = shape_of(profile)
    cluster, cargo, rates = Cluster.of(profile, shape), cargo_of(profile, shape), RATES._replace(learner=learner)
    found = forecast(cluster, rates, cargo)
    outcome = simulate(cluster, rates, cargo, profile, found)
    assert outcome.env_steps_per_s == pytest.approx(found.env_steps_per_s, rel=0.06)
    assert outcome.samples_per_insert == pytest.approx(4.0, rel=0.1)
