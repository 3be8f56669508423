"""What a policy makes of few simulations: numbers that show what search.unvisited_q and search.min_q_spread are for."""

import pytest

from tests.search.few_simulations import RULES, learn

# 2,000 states, each searched 960 times: minutes without the compiler.
pytestmark = pytest.mark.jit
MADE_UP = {"base": 0.0, "noise": 0.0, "opinion": 1e-3}


@pytest.mark.parametrize("rule", ["mean, tree", "Gumbel"])
def test_policy_finds_an_action_that_is_slightly_better_when_it_counts_unvisited_ones_as_their_siblings(rule):
    right, entropy = learn(16, advantage=0.03, **RULES[rule])
    assert right >= 0.9
    assert entropy >= 1.1


@pytest.mark.parametrize("rule", ["mean, tree", "Gumbel"])
def test_policy_stays_open_when_no_action_is_better(rule):
    assert learn(16, **RULES[rule])[1] >= 1.5


def test_policy_learns_noise_when_an_unvisited_action_counts_as_the_worst():
    assert learn(16, **RULES["zero, tree"])[1] < 1.0
    assert learn(16, advantage=0.03, **RULES["zero, tree"])[0] < 0.6


@pytest.mark.parametrize(("rule", "least"), [({"unvisited_q": "mean"}, 1.0), ({"policy": "gumbel"}, 0.6)])
def test_policy_follows_minute_differences_less_when_the_least_spread_is_larger(rule, least):
    assert learn(16, **MADE_UP, **rule)[1] < 0.4
    assert learn(16, **MADE_UP, **rule, min_q_spread=0.01)[1] >= least
