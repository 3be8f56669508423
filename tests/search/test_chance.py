"""Trees with chance on known games, and what they are refused with."""

import numpy as np
import pytest

from mzpipe.config.search import SearchConfig
from mzpipe.errors import SearchInputError
from mzpipe.search import BatchedSearch, search_bytes
from tests.search.driver import quiet_config, random_model, run

SAFE, LOTTERY = 0, 1
# What the lottery pays and how often, by code; the safe action pays 1 whatever chance does.
PAYS, OFTEN = np.array([0.0, 2.0, 10.0], np.float32), np.array([0.5, 0.4, 0.1])
NUM_ACTIONS, NUM_CODES = 2, 3


def search_lottery(num_simulations: int, discount: float = 1.0, num_tickets: int = 1, **fields):
    """A search on the true model of a game in which `num_tickets` times a player takes 1, or a draw of the lottery."""
    config = quiet_config(num_simulations, discount=discount, **fields)
    search = BatchedSearch(config, batch_size=1, num_actions=NUM_ACTIONS, num_codes=NUM_CODES)
    logits_1E = np.zeros((1, NUM_ACTIONS + NUM_CODES), np.float32)
    logits_1E[0, NUM_ACTIONS:] = np.log(OFTEN)
    zero_1 = np.zeros(1, np.float32)
    # Per node: draws left, and the action whose outcome is still open; None at decisions.
    nodes = [(num_tickets, None)]
    search.begin(logits_1E, zero_1)
    for _ in range(num_simulations):
        (parent,), (action,) = search.select()
        left, is_open = nodes[parent]
        reward_1 = zero_1
        if is_open is None:
            nodes.append((left, int(action)))
        else:
            code = action - NUM_ACTIONS
            # Nothing more is to be had once no draw is left, and then no action counts.
            reward = 0.0 if left == 0 else 1.0 if is_open == SAFE else PAYS[code]
            reward_1 = np.array([reward], np.float32)
            nodes.append((max(left - 1, 0), None))
        search.backup(reward_1, zero_1, logits_1E)
    return search


def test_search_finds_the_lotterys_value_by_arithmetic():
    expected = float(PAYS @ OFTEN)
    q_A = search_lottery(2_000).result().q_BA[0]
    assert q_A[LOTTERY] == pytest.approx(expected, rel=0.01)
    # Of the few visits to the safe action the first is the network's own value of the afterstate, 0.
    assert q_A[SAFE] == pytest.approx(1.0, rel=0.02)


def test_gumbel_finds_the_lotterys_value_and_takes_it():
    search = search_lottery(2_000, policy="gumbel", gumbel_scale=0.0)
    result = search.result()
    # Sequential halving gives both actions as many visits.
    assert result.visits_BA[0].tolist() == [1_000, 1_000]
    assert result.q_BA[0] == pytest.approx([1.0, float(PAYS @ OFTEN)], rel=0.01)
    assert search.best_action() == LOTTERY
    assert result.search_policy_BA[0].argmax() == LOTTERY


def test_prior_of_the_root_is_that_of_the_actions():
    tree = search_lottery(5).tree(0)
    assert tree.root_prior_A.tolist() == [0.5, 0.5]


def test_visits_of_codes_follow_their_probabilities():
    tree = search_lottery(2_000).tree(0)
    first = int(np.flatnonzero((tree.parent_K == 0) & (tree.action_K == LOTTERY))[0])
    codes = np.flatnonzero(tree.parent_K == first)
    share_C = np.zeros(NUM_CODES)
    share_C[tree.action_K[codes] - NUM_ACTIONS] = tree.visits_K[codes]
    assert share_C / share_C.sum() == pytest.approx(OFTEN, abs=0.01)


def test_discount_counts_once_for_an_action_and_its_chance():
    tree = search_lottery(2_000, discount=0.5, num_tickets=2).tree(0)
    for node in range(1, len(tree.parent_K)):
        is_code = tree.action_K[node] >= NUM_ACTIONS
        factor = 0.5 if is_code else 1.0
        assert tree.q_K[node] == pytest.approx(tree.reward_K[node] + factor * tree.value_K[node], abs=1e-6)
        assert is_code or tree.reward_K[node] == 0.0


def test_actions_and_codes_take_turns_and_the_root_has_no_codes():
    config = SearchConfig(num_simulations=60, root_exploration_fraction=0.25)
    search = BatchedSearch(config, batch_size=1, num_actions=3, num_codes=4)
    run(search, random_model(0, 61, 1, 7), np.array([[True, False, True]]))
    tree, visits_A = search.tree(0), search.result().visits_BA[0]
    assert visits_A.shape == (3,) and visits_A[1] == 0 and visits_A.sum() == 60
    for node in range(1, 61):
        above = tree.parent_K[node]
        assert (tree.action_K[node] >= 3) == (above != 0 and tree.action_K[above] < 3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"probabilities": True}, "num_codes=2 with probabilities=True"),
        ({"masked": True}, "num_codes=2 with masked=True"),
        ({"num_codes": -1}, "num_codes=-1 must be at least 0"),
    ],
)
def test_what_trees_with_chance_do_not_have_is_refused(options, text):
    with pytest.raises(SearchInputError, match=text):
        BatchedSearch(SearchConfig(), batch_size=1, num_actions=2, **{"num_codes": 2, **options})


def test_policies_without_the_codes_are_refused():
    search = BatchedSearch(SearchConfig(), batch_size=1, num_actions=2, num_codes=2)
    with pytest.raises(SearchInputError, match=r"policy_logits_BA is float32 of shape \(1, 2\): it must be .*\(1, 4\)"):
        search.begin(np.zeros((1, 2), np.float32), np.zeros(1, np.float32))


def test_bytes_count_the_codes():
    config = SearchConfig(num_simulations=20)
    search = BatchedSearch(config, batch_size=3, num_actions=2, num_codes=5)
    assert len(search._arena) == search_bytes(config, batch_size=3, num_actions=2, num_codes=5)
