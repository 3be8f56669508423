"""A search over a model in this process against the same search through lanes and an inference server."""

import numpy as np
import pytest

from mzpipe.errors import SearchInputError
from mzpipe.games import describe_game
from mzpipe.planning import LanePlanner, greedy_search
from mzpipe.trained.direct import DirectPlanner
from mzpipe.trained.trained import TrainedAgent
from tests.tiny import EVALUATOR, make_plane, observations, publish, random_model, started_server, tiny_profile

TREES = 3


def through_lanes(tmp_path, profile, config, legal_BA, seed):
    plane = make_plane(tmp_path, profile)
    model = random_model(profile, plane, 3)
    publish(plane, model)
    server = started_server(profile, plane)
    (lane,) = plane.lane_clients(EVALUATOR)
    planner = LanePlanner(lane, config, num_trees=TREES, num_actions=2, seed=seed)
    planner.observation[:] = observations(TREES)
    planner.begin(legal_BA)
    result = None
    while result is None:
        server.do_work()
        result = planner.advance()
    return model, result


def agent_of(profile, model):
    return TrainedAgent(profile, describe_game(profile.game), model, "untrained", 0, 0, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overrides", "rtol"),
    [
        ((), 0),
        (("search.policy=gumbel",), 0),
        (("network.value_prefix=true",), 0),
        (("network.chance_codes=3",), 0),
        # The server has more rows, so its bucket for three is another: products are rounded at other places.
        (('inference.runtime="torch"',), 1e-5),
    ],
    ids=["pUCT", "Gumbel", "value prefix", "chance", "torch"],
)
@pytest.mark.parametrize("greedy", [True, False], ids=["greedy", "with noise"])
def test_direct_search_finds_what_lanes_find(tmp_path, overrides, rtol, greedy):
    profile = tiny_profile("search.num_simulations=20", *overrides)
    config = greedy_search(profile.search, 0) if greedy else profile.search
    legal_BA = np.array([[True, True], [False, True], [True, True]])
    model, expected = through_lanes(tmp_path, profile, config, legal_BA, seed=5)
    search = DirectPlanner(agent_of(profile, model), config, num_trees=TREES, seed=5)
    result = search.search(observations(TREES), legal_BA)
    for found, wanted in zip(result, expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=rtol)


@pytest.fixture
def search(tmp_path):
    profile = tiny_profile("search.num_simulations=20")
    model = random_model(profile, make_plane(tmp_path, profile), 3)
    config = greedy_search(profile.search, 0)
    return DirectPlanner(agent_of(profile, model), config, num_trees=TREES)


def test_a_tree_does_not_depend_on_other_trees_nor_on_the_last_search(search):
    legal_BA = np.ones((TREES, 2), bool)
    first = search.search(observations(TREES), legal_BA)
    turned = search.search(observations(TREES)[::-1].copy(), legal_BA)
    np.testing.assert_array_equal(first.visits_BA, turned.visits_BA[::-1])


def test_unroll_says_what_the_tree_says_along_its_own_edges(search):
    search.search(observations(TREES), np.ones((TREES, 2), bool))
    tree = search.tree(1)
    deepest, path = len(tree.parent_K) - 1, []
    while deepest:
        path.append(deepest)
        deepest = int(tree.parent_K[deepest])
    answers = search.unroll(observations(TREES)[1], tree.action_K[path[::-1]])
    assert len(answers) == len(path) + 1
    assert answers[0].reward_B == [0.0]
    for node, answer in zip([0, *path[::-1]], answers, strict=True):
        np.testing.assert_allclose(answer.value_B, tree.raw_value_K[node], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(answer.reward_B, tree.reward_K[node], rtol=1e-4, atol=1e-5)


def test_a_tree_without_a_legal_action_is_refused(search):
    with pytest.raises(SearchInputError, match="legal_actions_BA"):
        search.search(observations(TREES), np.zeros((TREES, 2), bool))
