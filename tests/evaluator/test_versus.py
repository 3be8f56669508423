"""Games against an opponent: the agent's outcome, the player who begins, and how each opponent plays."""

import numpy as np
import pyspiel
import pytest

from mzpipe.config import EvaluatorConfig, GameConfig
from mzpipe.errors import ConfigError
from mzpipe.evaluator.every_line import EveryLine
from mzpipe.evaluator.opponents import PerfectOpponent, RandomOpponent, RolloutOpponent, make_opponent
from mzpipe.evaluator.versus import VersusEpisodes, make_episodes
from mzpipe.games import describe_game, make_game
from mzpipe.games.board import BoardGame
from mzpipe.launch.plan import ModelSizes, make_plan
from mzpipe.launch.roles import Devices
from mzpipe.planning import LanePlanner, greedy_search, signed_search
from tests.tiny import EVALUATOR, make_plane, publish, random_model, started_server, tiny_profile


def play_match(tmp_path, episodes, opponent="perfect", game="tic_tac_toe"):
    """A finished match of a random network; the opponent is the profile's, or the test's own object."""
    named = opponent if isinstance(opponent, str) else "random"
    profile = tiny_profile(f"game.name={game}", f"evaluator.opponent={named}", f"evaluator.episodes={episodes}")
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    (lane,) = plane.lane_clients(EVALUATOR)
    games = make_game(profile.game, plane.shape.evaluator_trees, 0, training=False)
    config, actions = greedy_search(signed_search(profile.search, 2), 0), games.spec.num_actions
    planner = LanePlanner(lane, config, num_trees=games.num_games, num_actions=actions, seed=0)
    match = make_episodes(profile, games, planner, 0)
    if named != opponent:
        match = VersusEpisodes(games, planner, episodes, opponent)
    match.begin()
    for _ in range(20_000):
        if match.finished:
            break
        match.do_work()
        server.do_work()
    return match


class Ledger:
    """Plays the lowest legal action and records what it was asked."""

    def __init__(self):
        self.asked = []

    def choose(self, games, game):
        self.asked.append((game, int(games.to_play()[game]), games.states[game].history()))
        return int(np.flatnonzero(games.legal_actions()[game])[0])


def test_match_plays_as_many_games_as_asked_and_never_beats_a_perfect_opponent(tmp_path):
    match = play_match(tmp_path, episodes=12)
    assert match.finished
    assert len(match.results.returns) == 12
    assert set(match.results.returns) <= {-1.0, 0.0}
    assert -1.0 in match.results.returns  # a random network loses
    assert all(5 <= length <= 9 for length in match.results.lengths)


def test_opponent_begins_every_other_game_and_moves_only_on_its_turn(tmp_path):
    ledger = Ledger()
    play_match(tmp_path, episodes=8, opponent=ledger)
    for _, player, history in ledger.asked:
        assert len(history) % 2 == player
    begun = {game for game, _, history in ledger.asked if not history}
    assert begun >= {1, 3, 5, 7}
    first_asked = {}
    for game, player, _ in ledger.asked:
        first_asked.setdefault(game, player)
    assert [first_asked[game] for game in range(8)] == [1, 0] * 4


def test_a_return_is_the_agents_outcome(tmp_path, monkeypatch):
    """Every finished game is replayed from its actions: the return is its outcome, with the agent's sign."""
    finished, reset = [], BoardGame.reset

    def keeping(self, mask_B=None):
        finished.extend(
            (game, self.states[game].history()) for game in np.flatnonzero(mask_B if mask_B is not None else [])
        )
        return reset(self, mask_B)

    monkeypatch.setattr(BoardGame, "reset", keeping)
    match = play_match(tmp_path, episodes=12, opponent=RandomOpponent(seed=0))
    assert len(finished) >= 12
    expected = []
    for game, history in finished[:12]:
        seat = game % 2  # the first episode of every game
        mover = (len(history) - 1) % 2
        outcome = played_out(history)
        expected.append(outcome if mover == seat else -outcome)
    assert match.results.returns == expected and len(set(expected)) > 1


def played_out(history):
    """Reward of the action that ends a game of tic-tac-toe."""
    game = make_game(GameConfig(name="tic_tac_toe"), 1, seed=0)
    game.reset()
    for action in history:
        step = game.step(np.array([action]))
    return float(step.reward_B[0])


def test_every_line_is_played_once(tmp_path, monkeypatch):
    """Compares with a plain recursion over OpenSpiel's positions, with the agent's moves as they were played."""
    replies, play = {}, EveryLine._play

    def keeping(self, action_G):
        replies.update({history: int(action) for history, action in zip(self._searched, action_G, strict=False)})
        return play(self, action_G)

    monkeypatch.setattr(EveryLine, "_play", keeping)
    match = play_match(tmp_path, episodes=7, opponent="every_line")
    assert match.finished
    expected = sorted(lines_of(replies, (), 0) + lines_of(replies, (), 1))
    assert sorted(zip(match.results.lengths, match.results.returns, strict=True)) == expected
    assert min(match.results.returns) == -1.0  # a random network can be beaten


def lines_of(replies, history, seat):
    """(length, outcome for the agent) of every line from here on."""
    state = pyspiel.load_game("tic_tac_toe").new_initial_state()
    for action in history:
        state.apply_action(action)
    if state.is_terminal():
        return [(len(history), state.returns()[seat])]
    actions = [replies[history]] if state.current_player() == seat else state.legal_actions()
    return [line for action in actions for line in lines_of(replies, (*history, action), seat)]


def state_after(*actions, name="tic_tac_toe"):
    """One game after these actions."""
    game = make_game(GameConfig(name=name), 1, seed=0)
    game.reset()
    for action in actions:
        game.step(np.array([action]))
    return game


def test_perfect_opponent_wins_where_it_can_and_blocks_where_it_must():
    opponent = PerfectOpponent(seed=0)
    assert opponent.choose(state_after(0, 3, 1, 4), 0) == 2
    assert opponent.choose(state_after(0, 4, 1), 0) == 2


def test_perfect_opponent_takes_all_good_answers_in_turn():
    opponent = PerfectOpponent(seed=0)
    answers = {opponent.choose(state_after(4), 0) for _ in range(60)}
    assert answers == {0, 2, 6, 8}  # against the centre only corners hold the draw


def test_perfect_opponent_never_loses_to_random_play():
    game = make_game(GameConfig(name="tic_tac_toe"), 1, seed=0)
    perfect, chance = PerfectOpponent(seed=1), RandomOpponent(seed=2)
    outcomes = [played(game, [perfect, chance] if seat == 0 else [chance, perfect], seat) for seat in (0, 1) * 40]
    assert min(outcomes) >= 0.0 and max(outcomes) == 1.0


def played(game, players, seat):
    """The outcome of one game for the player in the seat."""
    game.reset()
    while True:
        mover = int(game.to_play()[0])
        step = game.step(np.array([players[mover].choose(game, 0)]))
        if step.terminated_B[0]:
            return float(step.reward_B[0]) if mover == seat else -float(step.reward_B[0])


def test_rollout_opponent_beats_random_play_at_connect_four():
    game = make_game(GameConfig(name="connect_four"), 1, seed=0)
    rollouts, chance = RolloutOpponent(50, seed=0), RandomOpponent(seed=1)
    outcomes = [played(game, [rollouts, chance] if seat == 0 else [chance, rollouts], seat) for seat in (0, 1) * 10]
    assert np.mean(outcomes) > 0.5


@pytest.mark.parametrize("name", ["random", "rollouts", "perfect"])
def test_opponents_repeat_their_games_when_the_seed_is_the_same(name):
    config = EvaluatorConfig(opponent=name, opponent_simulations=20)

    def choices(seed):
        opponent = make_opponent(config, GameConfig(name="tic_tac_toe"), seed)
        return [opponent.choose(state_after(4, 0), 0) for _ in range(10)]

    assert choices(3) == choices(3)


def test_plan_refuses_an_opponent_that_the_game_does_not_have():
    profile = tiny_profile("game.name=connect_four", "evaluator.opponent=perfect")
    plan = make_plan(profile, describe_game(profile.game), Devices.assumed(profile), ModelSizes())
    with pytest.raises(ConfigError) as caught:
        plan.check()
    assert str(caught.value) == (
        "evaluator.opponent='perfect': connect_four can be played against random, rollouts only"
    )


def test_a_game_of_ones_own_is_played_against_random_moves(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    match = play_match(tmp_path, episodes=6, game="tests.games.own_games:Nim", opponent="random")
    assert match.finished and len(match.results.returns) == 6
    assert set(match.results.returns) <= {-1.0, 1.0}  # nim has no draws
