"""Any game of OpenSpiel's by its name: played as OpenSpiel plays it, with passes where a player moves again."""

import numpy as np
import pyspiel
import pytest

from mzpipe.config import EvaluatorConfig, GameConfig
from mzpipe.errors import ConfigError
from mzpipe.evaluator.opponents import make_opponent
from mzpipe.games import describe_game, make_game


def play_out(name, seed, num_games=2):
    """Plays at random; yields per move (game, player, action, result) of batch entry 0, and its OpenSpiel twin."""
    game, rng = make_game(GameConfig(name=name), num_games, seed=0), np.random.default_rng(seed)
    twin = pyspiel.load_game(name.removeprefix("OpenSpiel/")).new_initial_state()
    game.reset()
    played = []
    while True:
        legal_BA, player = game.legal_actions(), int(game.to_play()[0])
        action_B = (legal_BA * (1 + rng.random(legal_BA.shape))).argmax(axis=1)
        passes = action_B[0] == game.spec.num_actions - 1
        if not passes:
            assert np.flatnonzero(legal_BA[0]).tolist() == twin.legal_actions()
            mover = twin.current_player()
            twin.apply_action(int(action_B[0]))
        result = game.step(action_B)
        played.append(int(action_B[0]))
        assert game.history(0) == played
        yield player, passes, result, twin
        assert not passes or legal_BA[0].sum() == 1
        if result.terminated_B[0]:
            assert twin.is_terminal() and result.reward_B[0] == twin.returns()[mover]
            return
        if result.truncated_B[0]:
            return
        game.reset(result.terminated_B | result.truncated_B)


@pytest.mark.parametrize("name", ["breakthrough(rows=5,columns=5)", "clobber", "pentago", "nim", "oware", "twixt"])
def test_players_move_in_turn_and_the_outcome_is_openspiels(name):
    moves = list(play_out(f"OpenSpiel/{name}", seed=1))
    assert [player for player, *_ in moves] == [number % 2 for number in range(len(moves))]
    assert not any(passes for _, passes, *_ in moves)


@pytest.mark.parametrize("name", ["dots_and_boxes", "mancala", "checkers", "ultimate_tic_tac_toe"])
def test_other_player_passes_where_one_moves_again(name):
    passed = 0
    for seed in range(5):
        moves = list(play_out(f"OpenSpiel/{name}", seed))
        assert [player for player, *_ in moves] == [number % 2 for number in range(len(moves))]
        passed += sum(passes for _, passes, *_ in moves)
    assert passed > 0


def test_frame_is_the_observation_of_the_player_to_move_and_who_that_is():
    game = make_game(GameConfig(name="OpenSpiel/breakthrough"), 1, seed=0)
    assert game.spec.frame_shape == (4, 8, 8) and game.spec.num_actions == 769
    state = pyspiel.load_game("breakthrough").new_initial_state()
    frame_BF = game.reset()
    for seat in (0, 1, 0):
        np.testing.assert_array_equal(frame_BF[0, :-1].ravel(), state.observation_tensor(seat))
        assert (frame_BF[0, -1] == seat).all()
        action = state.legal_actions()[0]
        state.apply_action(action)
        frame_BF = game.step(np.array([action])).frame_BF


def test_vectors_get_one_more_number():
    assert describe_game(GameConfig(name="OpenSpiel/nim")).frame_shape == (40,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("kuhn_poker", "players do not see everything"),
        ("matrix_rps", "players do not move in turn"),
        ("no_such_game", "OpenSpiel refuses it"),
        ("breakthrough(rows=99", "OpenSpiel refuses it"),
    ],
)
def test_games_of_another_kind_are_refused_in_one_line(name, text):
    with pytest.raises(ConfigError, match=text) as caught:
        describe_game(GameConfig(name=f"OpenSpiel/{name}"))
    assert "\n" not in str(caught.value) and f"game.name='OpenSpiel/{name}'" in str(caught.value)


def test_passes_count_against_the_limit():
    game = make_game(GameConfig(name="OpenSpiel/mancala", max_episode_moves=7), 1, seed=0)
    game.reset()
    for _ in range(7):
        assert game.to_play()[0] == len(game.history(0)) % 2
        result = game.step(game.legal_actions().argmax(axis=1))
    assert result.truncated_B[0]


@pytest.mark.parametrize("opponent", ["random", "rollouts"])
def test_opponents_play_passes_too(opponent):
    config = GameConfig(name="OpenSpiel/dots_and_boxes")
    game, plays = (
        make_game(config, 1, 0),
        make_opponent(EvaluatorConfig(opponent=opponent, opponent_simulations=5), config, 0),
    )
    game.reset()
    while True:
        action = plays.choose(game, 0)
        assert game.legal_actions()[0, action]
        result = game.step(np.array([action]))
        if result.terminated_B[0]:
            break


def test_chance_plays_at_once_and_repeats_from_the_seed():
    def games(seed):
        game, rng = make_game(GameConfig(name="OpenSpiel/backgammon"), 3, seed=seed), np.random.default_rng(1)
        frames = [game.reset()]
        for _ in range(40):
            legal_BA = game.legal_actions()
            assert legal_BA.any(axis=1).all() and not any(state.is_chance_node() for state in game.states)
            frames.append(game.step((legal_BA * (1 + rng.random(legal_BA.shape))).argmax(axis=1)).frame_BF)
        return np.array(frames)

    first = games(0)
    np.testing.assert_array_equal(first, games(0))
    assert not np.array_equal(first, games(1)) and not np.array_equal(first[:, 0], first[:, 1])


def test_backgammon_is_won_by_one_player_with_passes_after_doubles():
    game, rng = make_game(GameConfig(name="OpenSpiel/backgammon"), 1, seed=0), np.random.default_rng(0)
    assert game.spec.has_chance and game.spec.frame_shape == (211,)
    frame_BF, passes, begins = game.reset(), 0, set()
    for _ in range(2):
        for number in range(2_000):
            assert game.to_play()[0] == number % 2
            begins |= {game.states[0].current_player()} if number == 0 else set()
            legal_A = game.legal_actions()[0]
            is_pass = legal_A[-1] and legal_A.sum() == 1
            assert (frame_BF[0, -1] == game.states[0].current_player()) != is_pass
            passes += is_pass
            result = game.step(rng.choice(np.flatnonzero(legal_A), 1))
            frame_BF = result.frame_BF
            if result.terminated_B[0]:
                break
        assert result.terminated_B[0] and abs(result.reward_B[0]) == 1.0
        frame_BF = game.reset(np.array([True]))
    assert passes > 0


def test_backgammon_shows_one_board_to_both_players_and_each_die_as_one_of_six_numbers():
    """What a move does can be told from the frame: it takes a checker from its first point, in the mover's plane."""
    game, rng = make_game(GameConfig(name="OpenSpiel/backgammon"), 1, seed=5), np.random.default_rng(0)
    frame_BF, movers = game.reset(), set()
    for _ in range(60):
        state, frame_F = game.states[0].clone(), frame_BF[0]
        np.testing.assert_array_equal(frame_F[:198], state.observation_tensor(0)[:198])
        dice = frame_F[198:210].reshape(2, 6)
        assert (dice.argmax(axis=1) + 1).tolist() == list(state.observation_tensor(0)[-2:]) and dice.sum() == 2.0
        action = int(rng.choice(np.flatnonzero(game.legal_actions()[0])))
        frame_BF = game.step(np.array([action])).frame_BF
        point, mover = action % 26, int(frame_F[-1])
        if action == 1352 or point >= 24:
            continue
        movers.add(mover)
        before, after = (frame[:192].reshape(2, 24, 4).sum(axis=2)[mover, point] for frame in (frame_F, frame_BF[0]))
        assert before > 0.0 and (after < before or action // 26 % 26 < 24)
    assert movers == {0, 1}


def test_2048_has_a_plane_for_each_power_and_the_rewards_of_its_merges():
    game, rng = make_game(GameConfig(name="OpenSpiel/2048"), 1, seed=3), np.random.default_rng(0)
    assert game.spec.frame_shape == (17, 4, 4) and (game.spec.num_actions, game.spec.num_players) == (4, 1)
    frame_BF, total = game.reset(), 0.0
    assert frame_BF.sum() == 2
    while True:
        result = game.step(rng.choice(np.flatnonzero(game.legal_actions()[0]), 1))
        total += float(result.reward_B[0])
        tiles = np.array(game.states[0].observation_tensor(0)).reshape(4, 4)
        powers = np.tensordot(2.0 ** np.arange(1, 18), result.frame_BF[0], axes=1)
        np.testing.assert_array_equal(powers, tiles)
        if result.terminated_B[0]:
            break
    assert total == game.states[0].returns()[0] > 100


@pytest.mark.parametrize("opponent", ["random", "rollouts"])
def test_opponents_play_games_with_chance(opponent):
    config = GameConfig(name="OpenSpiel/pig")
    game, plays = (
        make_game(config, 1, 0),
        make_opponent(EvaluatorConfig(opponent=opponent, opponent_simulations=5), config, 0),
    )
    game.reset()
    for _ in range(20):
        action = plays.choose(game, 0)
        assert game.legal_actions()[0, action]
        if game.step(np.array([action])).terminated_B[0]:
            break


def slid(board_RC, action):
    """The board after a move of 2048, by its rules: everything moves up, right, down or left, and equals merge once."""
    lines = {0: board_RC.T, 1: board_RC[:, ::-1], 2: board_RC[::-1].T, 3: board_RC}[action]
    moved = np.zeros_like(lines)
    for row, line in zip(moved, lines, strict=True):
        tiles, kept = [tile for tile in line if tile], []
        while tiles:
            first = tiles.pop(0)
            kept.append(first + tiles.pop(0) if tiles[:1] == [first] else first)
        row[: len(kept)] = kept
    return {0: moved.T, 1: moved[:, ::-1], 2: moved.T[::-1], 3: moved}[action]


def random_boards(count):
    """(board, what OpenSpiel makes of each legal action) of random games of 2048."""
    rules, rng = pyspiel.load_game("2048"), np.random.default_rng(5)
    state = rules.new_initial_state()
    while count:
        if state.is_terminal():
            state = rules.new_initial_state()
        elif state.is_chance_node():
            state.apply_action(int(rng.choice([action for action, _ in state.chance_outcomes()])))
        else:
            board = np.array(state.observation_tensor(0), int).reshape(4, 4)
            made = {action: state.child(action) for action in state.legal_actions()}
            yield (
                board,
                {action: np.array(str(child).split()[:16], int).reshape(4, 4) for action, child in made.items()},
            )
            count -= 1
            state.apply_action(int(rng.choice(state.legal_actions())))


def test_plain_rules_of_2048_are_those_of_open_spiel():
    for board, made in random_boards(300):
        for action, after in made.items():
            np.testing.assert_array_equal(slid(board, action), after)


def test_2048_turned_and_mirrored_is_the_same_game():
    symmetries = describe_game(GameConfig(name="OpenSpiel/2048")).symmetries
    assert len(symmetries) == len(set(symmetries)) == 7
    for board, _ in random_boards(100):
        for symmetry in symmetries:
            turn = lambda cells_RC, points=list(symmetry.points): cells_RC.ravel()[points].reshape(4, 4)  # noqa: E731
            for turned_action, action in enumerate(symmetry.actions):
                np.testing.assert_array_equal(slid(turn(board), turned_action), turn(slid(board, action)))
