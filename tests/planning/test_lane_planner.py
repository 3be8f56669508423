"""The planner over a lane against the same search fed by the model directly."""

import numpy as np
import pytest
import torch

from mzpipe.config.search import SearchConfig
from mzpipe.errors import SearchInputError
from mzpipe.ipc.roles import Role
from mzpipe.planning import LanePlanner, derive_seed, greedy_search, signed_search
from mzpipe.runtime.agent import failure
from mzpipe.search import BatchedSearch
from tests.tiny import ACTOR, make_plane, observations, publish, random_model, started_server, tiny_profile


@torch.inference_mode()
def direct_search(model, config, observation, seed):
    """One search that calls the model directly."""
    search = BatchedSearch(config, batch_size=len(observation), num_actions=2, seed=seed)
    output = model.initial_inference(torch.from_numpy(observation))
    nodes = [output.hidden_state]
    search.begin(output.policy_logits_BA.numpy(), model.value(output).numpy())
    for _ in range(config.num_simulations):
        parents, actions = search.select()
        states = torch.stack([nodes[parent][tree] for tree, parent in enumerate(parents.tolist())])
        output = model.recurrent_inference(states, torch.from_numpy(actions))
        nodes.append(output.hidden_state)
        search.backup(model.reward(output).numpy(), model.value(output).numpy(), output.policy_logits_BA.numpy())
    return search.result()


def test_planner_finds_what_a_direct_search_finds(tmp_path):
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    model = random_model(profile, plane, 3)
    publish(plane, model)
    server = started_server(profile, plane)
    lane, _ = plane.lane_clients(ACTOR)
    planner = LanePlanner(lane, profile.search, num_trees=3, num_actions=2, seed=5)
    planner.observation[:] = observations(3)
    planner.begin(np.ones((3, 2), bool))
    result = None
    while result is None:
        assert planner.advance() is None  # not answered yet
        server.do_work()
        result = planner.advance()
    expected = direct_search(model, profile.search, observations(3), seed=5)
    np.testing.assert_array_equal(result.visits_BA, expected.visits_BA)
    np.testing.assert_allclose(result.root_value_B, expected.root_value_B, rtol=1e-4, atol=1e-5)
    assert planner.idle


def test_planners_that_share_a_lane_search_as_they_would_alone_and_the_server_releases_each_ones_weights(tmp_path):
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    model = random_model(profile, plane, 3)
    publish(plane, model)
    server = started_server(profile, plane)
    lane, _ = plane.lane_clients(ACTOR)
    configs = [greedy_search(profile.search, simulations) for simulations in (4, 1, 3)]
    planners = [LanePlanner(lane, config, num_trees=3, num_actions=2, seed=5) for config in configs]
    for turn in (0, 1, 0, 2, 2, 1):
        planner = planners[turn]
        assert all(each.idle for each in planners)
        planner.observation[:] = observations(3, seed=turn)
        planner.begin(np.ones((3, 2), bool))
        result, answers = None, 0
        while result is None:
            server.do_work()
            result, answers = planner.advance(), answers + 1
        assert answers == planner.num_simulations + 1
        assert not server._versions.held_L.any()
        expected = direct_search(model, configs[turn], observations(3, seed=turn), seed=5)
        np.testing.assert_array_equal(result.visits_BA, expected.visits_BA)


def test_planner_awaits_the_answer_to_a_dead_predecessor(tmp_path):
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)

    def planner():
        lane, _ = plane.lane_clients(ACTOR)
        return LanePlanner(lane, profile.search, num_trees=3, num_actions=2, seed=5)

    first = planner()
    first.observation[:] = observations(3)
    first.begin(np.ones((3, 2), bool))
    second = planner()
    assert not second.idle
    server.do_work()
    assert second.idle


@pytest.mark.parametrize("simulations", [0, 1, 3])
@pytest.mark.parametrize("answered", [False, True], ids=["while the server has the lane", "while the client has it"])
def test_planner_begins_a_search_anew_with_the_weights_of_the_next_server_when_its_server_dies(
    tmp_path, simulations, answered
):
    profile = tiny_profile("search.root_exploration_fraction=0.0")
    plane = make_plane(tmp_path, profile)
    old, new = (random_model(profile, plane, seed) for seed in (0, 3))
    publish(plane, old)
    server = started_server(profile, plane)
    lane, _ = plane.lane_clients(ACTOR)
    planner = LanePlanner(lane, profile.search, num_trees=3, num_actions=2, seed=5)
    planner.observation[:] = observations(3)
    planner.begin(np.ones((3, 2), bool))
    for _ in range(simulations):
        server.do_work()
        planner.advance()
    if answered:
        server.do_work()
    version = publish(plane, new)
    server = started_server(profile, plane)  # it has none of the former one's hidden states
    result, laps = None, 0
    while result is None and laps < 50:
        result, laps = planner.advance(), laps + 1
        server.do_work()
    assert planner.weights_version == version
    expected = direct_search(new, profile.search, observations(3), seed=5)
    np.testing.assert_array_equal(result.visits_BA, expected.visits_BA)
    np.testing.assert_allclose(result.root_value_B, expected.root_value_B, rtol=1e-4, atol=1e-5)
    assert planner.idle


@pytest.mark.parametrize("simulations", [0, 2])
def test_planner_names_weights_and_observations_of_an_answer_that_is_not_finite_which_is_no_users_fault(
    tmp_path, simulations
):
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    lane, _ = plane.lane_clients(ACTOR)
    planner = LanePlanner(lane, profile.search, num_trees=3, num_actions=2, seed=5)
    planner.observation[:] = -7.5
    planner.begin(np.ones((3, 2), bool))
    for _ in range(simulations):
        server.do_work()
        planner.advance()
    server.do_work()
    lane.value[1] = np.nan
    with pytest.raises(SearchInputError) as caught:
        planner.advance()
    said = "value_B[1] is NaN or infinite: network outputs must be finite; weights version 1, observations of up to 7.5"
    assert str(caught.value) == said
    assert failure(caught.value, Role.ACTOR).exit_code == 70


def test_derive_seed_differs_by_every_part_of_its_path():
    paths = [("actor", 0), ("actor", 1), ("learner", 0), ("actor", 0, "search"), ()]
    seeds = {derive_seed(0, *path) for path in paths} | {derive_seed(1, *path) for path in paths}
    assert len(seeds) == 2 * len(paths)
    assert derive_seed(7, "actor", 3) == derive_seed(7, "actor", 3)


def test_signed_search_is_negative_exactly_when_two_players_alternate():
    for given in (0.9, -0.9):
        assert signed_search(SearchConfig(discount=given), 1).discount == 0.9
        assert signed_search(SearchConfig(discount=given), 2).discount == -0.9


def test_greedy_search_drops_the_noise_and_takes_its_own_simulations():
    config = SearchConfig(num_simulations=50)
    assert greedy_search(config, 0).num_simulations == 50
    assert greedy_search(config, 7).num_simulations == 7
    assert greedy_search(config, 0).root_exploration_fraction == 0.0
