"""Board games against OpenSpiel's own positions, and against counts that chess programs agree on."""

import itertools

import numpy as np
import pyspiel
import pytest

from mzpipe.config import BoardConfig, GameConfig
from mzpipe.errors import ConfigError
from mzpipe.games import describe_game, make_game
from mzpipe.games.board import BoardGame
from mzpipe.games.board_rules import BOARDS

B = 3


def play_randomly(game, num_moves, seed=0):
    """Per game, finished episodes as (actions, rewards, movers); games are reset as they end."""
    rng, episodes = np.random.default_rng(seed), []
    under_way = [([], [], []) for _ in range(game.num_games)]
    game.reset()
    for _ in range(num_moves):
        movers = game.to_play()
        action_B = np.array([rng.choice(np.flatnonzero(legal_A)) for legal_A in game.legal_actions()])
        step = game.step(action_B)
        ended_B = step.terminated_B | step.truncated_B
        for each, (actions, rewards, players) in enumerate(under_way):
            actions.append(int(action_B[each]))
            rewards.append(float(step.reward_B[each]))
            players.append(int(movers[each]))
            if ended_B[each]:
                episodes.append(under_way[each])
                under_way[each] = ([], [], [])
        game.reset(ended_B)
    return episodes


@pytest.mark.parametrize("name", ["tic_tac_toe", "connect_four", "othello"])
def test_every_outcome_is_openspiels_for_the_player_who_ended_the_game(name):
    game = make_game(GameConfig(name=name), B, seed=0)
    episodes = play_randomly(game, 150)
    assert len(episodes) >= 3
    for actions, rewards, movers in episodes:
        state = pyspiel.load_game(name).new_initial_state()
        for action in actions:
            state.apply_action(action)
        assert state.is_terminal()
        assert rewards[-1] == state.returns()[movers[-1]]
        assert set(rewards[:-1]) <= {0.0}


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_players_alternate_and_legal_actions_are_openspiels(name):
    game = make_game(GameConfig(name=name), 1, seed=0)
    game.reset()
    state, rng = game.rules.new_initial_state(), np.random.default_rng(1)
    first = state.current_player()  # OpenSpiel's number of White in chess is 1, and White begins
    for move in range(60):
        if state.is_terminal():
            break
        assert game.to_play()[0] == move % 2 == abs(state.current_player() - first)
        assert np.flatnonzero(game.legal_actions()[0]).tolist() == state.legal_actions()
        action = int(rng.choice(state.legal_actions()))
        state.apply_action(action)
        game.step(np.array([action]))


@pytest.mark.parametrize("name", sorted(BOARDS))
def test_frames_have_the_shape_and_kind_of_the_spec(name):
    game = make_game(GameConfig(name=name, frame_stack=2), B, seed=0)
    frame_BF = game.reset()
    assert frame_BF.shape == (B, *game.spec.frame_shape) and frame_BF.dtype == np.uint8
    assert game.spec.observation_shape == (2 * game.spec.frame_shape[0], *game.spec.frame_shape[1:])
    assert game.spec.num_players == 2


@pytest.mark.parametrize(("depth", "count"), [(1, 20), (2, 400), (3, 8_902)])
def test_chess_has_as_many_lines_as_chess_programs_count(depth, count):
    """Perft: the legal actions of all positions after depth - 1 moves."""
    first = make_game(GameConfig(name="chess"), 1, seed=0)
    first.reset()
    lines = list(itertools.product(np.flatnonzero(first.legal_actions()[0]), repeat=min(depth - 1, 1)))
    for _ in range(depth - 2):
        game = replayed("chess", lines)
        lines = [
            (*line, a)
            for line, legal_A in zip(lines, game.legal_actions(), strict=True)
            for a in np.flatnonzero(legal_A)
        ]
    assert replayed("chess", lines).legal_actions().sum() == count


def replayed(name, lines):
    """One game per line of actions."""
    game = make_game(GameConfig(name=name), len(lines), seed=0)
    game.reset()
    for action_B in np.array(lines).T:
        game.step(action_B)
    return game


def test_a_frame_shows_mine_then_theirs_and_who_moves():
    game = make_game(GameConfig(name="tic_tac_toe"), 1, seed=0)
    assert not game.reset().any()
    frame = game.step(np.array([4])).frame_BF[0]  # the first player takes the centre, the second is to move
    assert frame[:, 1, 1].tolist() == [0, 255, 255]
    frame = game.step(np.array([0])).frame_BF[0]  # the second takes a corner, the first is to move
    assert frame[:, 1, 1].tolist() == [255, 0, 0] and frame[:, 0, 0].tolist() == [0, 255, 0]
    assert np.count_nonzero(frame) == 2


def test_a_frame_of_hex_shows_first_then_second_player_for_either_mover():
    game = make_game(GameConfig(name="hex", board=BoardConfig(size=3)), 1, seed=0)
    game.reset()
    for action, mover in ((0, 1), (4, 0)):
        frame = game.step(np.array([action])).frame_BF[0]
        assert frame[0, 0, 0] == 255 and (frame[2] == 255 * mover).all()
    assert frame[1, 1, 1] == 255


def test_a_position_of_a_symmetric_game_looks_the_same_with_colours_exchanged():
    """The same stones, once with the first player to move and once, after passes, with the second."""
    game = make_game(GameConfig(name="go", board=BoardConfig(size=5)), 2, seed=0)
    game.reset()
    for actions in (
        (0, 25),
        (7, 0),
        (25, 7),
    ):  # 25 passes: game 1 is a move late, its second player plays game 0's first
        frame_BF = game.step(np.array(actions)).frame_BF
    assert np.array_equal(frame_BF[0, :2], frame_BF[1, :2][::-1])
    later_BF = game.step(np.array((12, 25))).frame_BF
    assert np.array_equal(frame_BF[0, :2], later_BF[1, :2])


def test_step_of_a_mask_leaves_the_other_games_as_they_are():
    game = make_game(GameConfig(name="tic_tac_toe"), 3, seed=0)
    before_BF = game.reset()
    step = game.step(np.array([4, 4, 4]), np.array([False, True, False]))
    assert np.array_equal(step.frame_BF[[0, 2]], before_BF[[0, 2]])
    assert game.to_play().tolist() == [0, 1, 0]
    assert game.legal_actions().sum(axis=1).tolist() == [9, 8, 9]


def test_a_game_that_has_ended_stays_ended_while_others_are_stepped():
    game = make_game(GameConfig(name="tic_tac_toe"), 2, seed=0)
    game.reset()
    for action in (0, 3, 1, 4, 2):  # the first row
        step = game.step(np.array([action, action]), np.array([True, False]))
    assert step.terminated_B.tolist() == [True, False] and step.reward_B.tolist() == [1.0, 0.0]
    assert not game.legal_actions()[0].any()
    game.step(np.array([0, 0]), np.array([False, True]))
    with pytest.raises(AssertionError, match=r"games \[0\] have ended"):
        game.step(np.array([5, 5]))


def test_step_refuses_an_illegal_action():
    game = make_game(GameConfig(name="tic_tac_toe"), 2, seed=0)
    game.reset()
    game.step(np.array([0, 1]))
    with pytest.raises(AssertionError, match=r"games \[1\]: actions \[1\] are illegal"):
        game.step(np.array([1, 1]))


def test_a_game_is_truncated_at_the_move_limit_without_a_reward():
    game = make_game(GameConfig(name="chess", max_episode_moves=3), 1, seed=0)
    for _, rewards, _ in play_randomly(game, 9):
        assert rewards == [0.0, 0.0, 0.0]
    game.reset()
    for expected in (False, False, True):
        step = game.step(np.flatnonzero(game.legal_actions()[0])[:1])
        assert step.truncated_B[0] == expected and not step.terminated_B[0]


def test_returned_arrays_keep_their_values_when_the_game_goes_on():
    game = make_game(GameConfig(name="connect_four"), B, seed=0)
    frame_BF, legal_BA = game.reset(), game.legal_actions()
    copies = frame_BF.copy(), legal_BA.copy()
    play_randomly(game, 30)
    assert np.array_equal(frame_BF, copies[0]) and np.array_equal(legal_BA, copies[1])


@pytest.mark.parametrize(("name", "size", "actions"), [("gomoku", 9, 81), ("hex", 5, 25), ("go", 9, 82)])
def test_the_board_has_the_size_of_the_profile(name, size, actions):
    spec = describe_game(GameConfig(name=name, board=BoardConfig(size=size)))
    assert spec.frame_shape[1:] == (size, size) and spec.num_actions == actions


def test_komi_decides_an_empty_game_of_go():
    for komi, outcome in ((0.5, -1.0), (-0.5, 1.0)):
        game = make_game(GameConfig(name="go", board=BoardConfig(size=5, komi=komi)), 1, seed=0)
        game.reset()
        game.step(np.array([25]))
        assert game.step(np.array([25])).reward_B[0] == -outcome  # both pass; the reward is the second player's


@pytest.mark.parametrize(
    ("name", "size", "text"),
    [
        ("chess", 9, "game.board.size=9: the board of chess has one size only: leave it out"),
        ("go", 1, "game.board.size=1: OpenSpiel refuses go: "),
    ],
)
def test_a_size_that_the_game_does_not_have_is_refused(name, size, text):
    with pytest.raises(ConfigError, match=text):
        describe_game(GameConfig(name=name, board=BoardConfig(size=size)))


def test_only_short_games_have_a_perfect_opponent():
    assert "perfect" in describe_game(GameConfig(name="tic_tac_toe")).opponents
    assert "perfect" not in describe_game(GameConfig(name="connect_four")).opponents


def test_a_game_that_a_limit_cuts_has_no_perfect_opponent():
    assert describe_game(GameConfig(name="tic_tac_toe", max_episode_moves=8)).opponents == ("random", "rollouts")
    assert "every_line" in describe_game(GameConfig(name="tic_tac_toe", max_episode_moves=9)).opponents


def test_boards_are_games_of_their_own_module():
    assert all(isinstance(make_game(GameConfig(name=name), 1, seed=0), BoardGame) for name in BOARDS)


@pytest.mark.parametrize("name", [*sorted(BOARDS), "OpenSpiel/dots_and_boxes"])
def test_a_game_goes_on_from_a_position_that_was_put_into_it_as_the_game_that_it_was_taken_from(name):
    """Games of a batch go on from positions of one game, which itself plays on; frames, edges and ends are the same."""
    config, rng = GameConfig(name=name, frame_stack=1), np.random.default_rng(2)
    game, walker, replayed = (make_game(config, games, seed=0) for games in (1, 2, 1))
    assert game.spec.has_positions
    for each in (game, walker, replayed):
        each.reset()
    for _ in range(40):
        position = game.position(0)
        action_1 = np.array([rng.choice(np.flatnonzero(game.legal_actions()[0]))])
        replayed.replay({0: game.history(0)})
        step, again = game.step(action_1), replayed.step(action_1)
        walker.put({1: position})
        walked = walker.step(np.array([0, *action_1]), np.array([False, True]))
        for one, other, third in zip(step, walked, again, strict=True):
            np.testing.assert_array_equal(one[0], other[1])
            np.testing.assert_array_equal(one[0], third[0])
        np.testing.assert_array_equal(game.legal_actions()[0], walker.legal_actions()[1])
        assert game.to_play()[0] == walker.to_play()[1]
        assert game.history(0) == walker.history(1) == replayed.history(0)
        if step.terminated_B[0]:
            break
    assert len(game.history(0)) <= game.spec.max_moves


def test_a_position_knows_what_its_rules_have_forbidden_since():
    """Go: the stone that took one in a ko may not be taken back at once, also from a position that was put back."""
    config = GameConfig(name="go", board=BoardConfig(size=5))
    game, walker = make_game(config, 1, seed=0), make_game(config, 1, seed=0)
    game.reset()
    walker.reset()
    for action in (1, 2, 5, 8, 11, 12, 24, 6, 7):  # black takes the stone on 6 by 7
        game.step(np.array([action]))
    walker.put({0: game.position(0)})
    free = game.rules.new_initial_state()
    assert not walker.legal_actions()[0, 6] and 6 in free.legal_actions()
