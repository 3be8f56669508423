"""Searches by the game's own rules: the trees of plain Python, legal edges, ends of games, and servers that die."""

import numpy as np
import pytest

from mzpipe.games import FrameStack, make_game
from mzpipe.planning import greedy_search, make_planner, signed_search
from mzpipe.planning.rules import RulesModel
from mzpipe.search.tree import ILLEGAL
from mzpipe.trained.direct import DirectPlanner
from tests.known import tictactoe
from tests.naive import alphazero
from tests.naive.search import NaiveSearch
from tests.tiny import EVALUATOR, make_plane, publish, random_model, started_server, tiny_profile
from tests.trained.test_direct import agent_of

TIC_TAC_TOE = "game.name=tic_tac_toe"
# One is quiet, in one a move wins at once, and in one two moves are left.
HISTORIES = [(), (0, 3, 1, 4), (0, 1, 2, 4, 3, 5, 7)]


def rules_profile(*overrides):
    return tiny_profile("search.model=rules", "search.discount=1.0", f"evaluator.episodes={len(HISTORIES)}", *overrides)


def games_after(profile, histories):
    """A game after each history, and the stacked observations there."""
    games = make_game(profile.game, len(histories), 0, training=False)
    stack = FrameStack(games.spec, len(histories))
    stack.reset(games.reset())
    for ply in range(max(map(len, histories))):
        plays = np.array([len(history) > ply for history in histories])
        action = np.array([history[ply] if len(history) > ply else 0 for history in histories])
        stack.push(games.step(action, plays).frame_BF, plays)
    return games, stack.view()


class Lane:
    """A planner over a lane, its server, and the networks that were published."""

    def __init__(self, directory, profile, *, seed=3, zero=False):
        self.profile, self.plane = profile, make_plane(directory, profile)
        self.models = []
        self.publish(seed, zero)
        self.serve_anew()
        (lane,) = self.plane.lane_clients(EVALUATOR)
        self.config = greedy_search(signed_search(profile.search, 2), 0)
        sizes = {"num_trees": len(HISTORIES), "num_actions": self.plane.shape.num_actions}
        self.planner = make_planner(lane, self.config, profile.game, **sizes, seed=0)

    def publish(self, seed, zero=False):
        model = random_model(self.profile, self.plane, seed)
        if zero:
            for parameter in model.prediction.parameters():
                parameter.data.zero_()
        publish(self.plane, model)
        self.models.append(model)

    def serve_anew(self):
        self.server = started_server(self.profile, self.plane)

    def begin(self, histories=HISTORIES):
        games, observation_BS = games_after(self.profile, histories)
        self.planner.observation[:] = observation_BS
        self.planner.begin(games.legal_actions(), games)

    def advance(self, laps=1000):
        """The result, once it is there; None after so many laps."""
        result = None
        while result is None and laps:
            self.server.do_work()
            result, laps = self.planner.advance(), laps - 1
        return result


def twin_of(config, history):
    """The plain-Python search of a position, by rules that know no OpenSpiel, with a network without opinion."""
    state = tictactoe.EMPTY
    for action in history:
        _, state = tictactoe.step(state, action)
    twin = NaiveSearch(config, [0.0] * tictactoe.NUM_ACTIONS, 0.0, tictactoe.legal_actions(state))
    states = [state]
    for _ in range(config.num_simulations):
        parent, action = twin.select()
        reward, state = tictactoe.step(states[parent], action)
        states.append(state)
        legal_A = [True] * tictactoe.NUM_ACTIONS if state is tictactoe.OVER else tictactoe.legal_actions(state)
        twin.backup(reward, 0.0, np.where(legal_A, np.float32(0.0), ILLEGAL))
    return twin


def test_a_search_by_the_rules_is_alphazeros(tmp_path):
    lane = Lane(
        tmp_path,
        rules_profile(
            TIC_TAC_TOE, "search.num_simulations=120", "search.q_normalization=bounds", "network.heads=scalar"
        ),
        zero=True,
    )
    lane.begin()
    result = lane.advance()
    for visits_A, value, history in zip(result.visits_BA, result.root_value_B, HISTORIES, strict=True):
        state = tictactoe.EMPTY
        for action in history:
            _, state = tictactoe.step(state, action)
        root = alphazero.search(state, tictactoe.step, tictactoe.legal_actions, lane.config)
        expected = [root.children[a].visits if a in root.children else 0 for a in range(tictactoe.NUM_ACTIONS)]
        assert visits_A.tolist() == expected
        assert value == root.value


@pytest.mark.parametrize("options", [(), ("search.policy=gumbel",)], ids=["pUCT", "Gumbel"])
def test_a_search_by_the_rules_has_its_twins_visits(tmp_path, options):
    lane = Lane(
        tmp_path, rules_profile(TIC_TAC_TOE, "search.num_simulations=60", "network.heads=scalar", *options), zero=True
    )
    lane.begin()
    result = lane.advance()
    twins = [twin_of(lane.config, history) for history in HISTORIES]
    assert result.visits_BA.tolist() == [twin.visits() for twin in twins]
    assert lane.planner.best_action().tolist() == [twin.best_action() for twin in twins]


# Settings, and an opening after which the end is near: three in a row, a pass, boxes of which one gives another move.
GAMES = {
    "tic_tac_toe": ((), (0, 3)),
    "connect_four": ((), (3, 3, 2, 2, 4, 4)),
    "go": (("game.board.size=4", "game.frame_stack=3"), (5, 6, 16)),
    "OpenSpiel/dots_and_boxes": (("game.frame_stack=2",), (10, 7, 5, 2, 3, 0, 1, 4)),
}


@pytest.mark.parametrize("name", GAMES)
def test_every_node_is_a_position_of_the_game(tmp_path, name):
    """A game that plays the actions to a node pays its rewards, allows its edges, and shows what the network saw."""
    options, opening = GAMES[name]
    profile = rules_profile(f'game.name="{name}"', *options, "search.num_simulations=150")
    model = random_model(profile, make_plane(tmp_path, profile), 3)
    config = greedy_search(signed_search(profile.search, 2), 0)
    planner = DirectPlanner(agent_of(profile, model), config, num_trees=1, leaves=5, keeps=True)
    line, ends = [*opening], 0
    for _ in range(2):
        games, observation_1S = games_after(profile, [tuple(line)])
        found = planner.search(observation_1S, games.legal_actions(), games=games, after=line[-1:])
        ends += check_nodes(profile, planner, line)
        favourites = np.argsort(-found.visits_BA[0], kind="stable").tolist()
        line.append(next(each for each in favourites if can_go_on(profile, [*line, each])))
    assert ends


def can_go_on(profile, line):
    """Whether the game is not over after these actions."""
    games, _ = games_after(profile, [tuple(line)])
    return games.legal_actions().any()


def check_nodes(profile, planner, line):
    """Replays every node from the game's beginning; returns how many of them lie after the end."""
    tree, ends = planner.tree(), 0
    paths = [[]]
    for node in range(1, len(tree.parent_K)):
        paths.append([*paths[tree.parent_K[node]], int(tree.action_K[node])])
        games, observation_1S = games_after(profile, [tuple(line)])
        stack, reward, over = FrameStack(games.spec, 1), 0.0, False
        stack._stack_BS[:] = observation_1S
        for action in paths[node]:
            if over:
                reward = 0.0
                continue
            assert games.legal_actions()[0, action]
            step = games.step(np.array([action]))
            stack.push(step.frame_BF)
            reward, over = float(step.reward_B[0]), bool(step.terminated_B[0])
        assert tree.reward_K[node] == reward
        if over:
            assert tree.raw_value_K[node] == 0.0
            ends += 1
        else:
            answer = planner.unroll(stack.view()[0], np.zeros(0, np.int32))[0]
            np.testing.assert_allclose(tree.raw_value_K[node], answer.value_B[0], rtol=1e-4, atol=1e-5)
    return ends


@pytest.mark.parametrize("options", [(), ("search.policy=gumbel",)], ids=["pUCT", "Gumbel"])
def test_lanes_and_one_process_search_alike_by_the_rules(tmp_path, options):
    lane = Lane(tmp_path, rules_profile(TIC_TAC_TOE, "search.num_simulations=40", *options))
    lane.begin()
    games, observation_BS = games_after(lane.profile, HISTORIES)
    direct = DirectPlanner(agent_of(lane.profile, lane.models[0]), lane.config, num_trees=len(HISTORIES))
    found = direct.search(observation_BS, games.legal_actions(), games=games)
    for one, other in zip(found, lane.advance(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("simulations", [0, 1, 3])
def test_a_search_by_the_rules_has_one_weights_version_and_begins_anew_when_its_server_dies(tmp_path, simulations):
    lane = Lane(tmp_path, rules_profile(TIC_TAC_TOE, "search.num_simulations=12"))
    lane.begin()
    lane.advance(laps=1 + simulations)
    lane.publish(seed=4)
    if simulations == 1:
        lane.serve_anew()
    result, version = lane.advance(), 2 if simulations == 1 else 1
    assert lane.planner.weights_version == version
    assert not lane.server._versions.held_L.any()
    games, observation_BS = games_after(lane.profile, HISTORIES)
    direct = DirectPlanner(agent_of(lane.profile, lane.models[version - 1]), lane.config, num_trees=len(HISTORIES))
    expected = direct.search(observation_BS, games.legal_actions(), games=games)
    np.testing.assert_array_equal(result.visits_BA, expected.visits_BA)


def test_the_rules_leave_the_games_that_they_begin_at_as_they_are():
    profile = rules_profile(TIC_TAC_TOE)
    games, observation_BS = games_after(profile, HISTORIES)
    rules = RulesModel(profile.game, num_rows=3, num_nodes=9)
    rules.begin(games, observation_BS, [0, 3, 6])
    rules.step(np.array([0, 3, 6]), np.array([1, 4, 7]), np.array([8, 2, 8], np.int32))
    assert [tuple(games.history(game)) for game in range(3)] == HISTORIES
    reward_B, value_B, logits_BA = rules.evaluation(np.full(3, 0.5, np.float32), np.ones((3, 9), np.float32))
    assert reward_B.tolist() == [0.0, 1.0, 0.0]
    assert value_B.tolist() == [0.5, 0.0, 0.5]
    assert [np.flatnonzero(logits_A == ILLEGAL).tolist() for logits_A in logits_BA] == [
        [8],
        [],
        [0, 1, 2, 3, 4, 5, 7, 8],
    ]
