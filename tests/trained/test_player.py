"""Player: what it is given, what it keeps, what it answers and what it refuses."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from mzpipe.errors import CheckpointError, ConfigError, MzpipeError, UsageError
from mzpipe.games import FrameStack, make_game
from mzpipe.own_code import allow_own_code
from mzpipe.runs.checkpoint import LATEST, CheckpointStore
from mzpipe.trained.player import Player
from tests.games.own_games import Countdown, Parted
from tests.tiny import observations, tiny_profile
from tests.trained.runs import BOARD, CHECKPOINT, PONG, make_run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", "game.frame_stack=2")


@pytest.fixture
def board(tmp_path):
    return Player.load(make_run(tmp_path / "board", *BOARD), num_simulations=40)


def test_decision_says_what_the_search_found(run):
    decision = Player.load(run).act(observations(1)[0])
    assert decision.visits.sum() == 4  # the profile's simulations
    assert decision.action == decision.visits.argmax()
    np.testing.assert_allclose(decision.search_policy, decision.visits / 4)
    assert decision.prior.sum() == pytest.approx(1.0)
    assert np.isfinite([decision.value, decision.network_value]).all()
    assert decision.q.shape == (2,)


def test_act_plays_an_episode_as_the_evaluations_stack_it(run):
    player, game = Player.load(run), make_game(tiny_profile().game, 1, 5, training=False)
    stack, frame = FrameStack(player.game, 1), game.reset()
    stack.reset(frame)
    for _ in range(5):
        expected = Player.load(run).decide(stack.view(), np.ones((1, 2), bool))
        decision = player.act(frame[0].tolist())
        assert decision.value == expected.value
        frame = game.step(np.array([decision.action])).frame_BF
        stack.push(frame)


def test_reset_forgets_what_was_seen(run):
    player, (one, other) = Player.load(run), observations(2)
    first = player.act(other).value
    player.reset()
    player.act(one)
    assert player.act(other).value != first
    player.reset()
    assert player.act(other).value == first


def test_num_simulations_and_checkpoint_are_taken(run):
    player = Player.load(str(run), checkpoint=CHECKPOINT, num_simulations=9)
    assert player.act(observations(1)[0]).visits.sum() == 9
    assert player.agent.checkpoint == CHECKPOINT
    assert player.agent.env_steps == 300


def test_an_illegal_action_is_never_chosen(run):
    player = Player.load(run)
    for mask, action in (([True, False], 0), (np.array([0, 1], np.int8), 1)):
        decision = player.act(observations(1)[0], mask)
        assert decision.action == action
        assert decision.prior[action] == 1.0
        assert decision.visits[1 - action] == 0


@pytest.mark.slow
def test_images_are_taken_in_every_order_that_environments_give_them(tmp_path):
    player = Player.load(make_run(tmp_path / "pong", *PONG))
    frame = np.random.default_rng(0).integers(0, 256, (1, 42, 42), np.uint8)
    values = []
    for observation in (frame, frame[0], frame[0][:, :, None]):
        player.reset()
        values.append(player.act(observation).value)
    assert values[0] == values[1] == values[2]
    text = "observation: uint8 of shape (210, 160, 3); Pong was trained on single uint8 frames of shape"
    with pytest.raises(UsageError, match=re.escape(f"{text} (1, 42, 42) or (42, 42) or (42, 42, 1): preprocess")):
        player.act(np.zeros((210, 160, 3), np.uint8))
    with pytest.raises(UsageError, match="observation: float32"):
        player.act(frame.astype(np.float32))
    with pytest.raises(UsageError, match=re.escape("shape (2, 42, 42)")):
        player.act(np.concatenate([frame, frame]))  # stacked by the caller


@pytest.mark.slow
def test_action_planes_are_added_as_the_games_of_the_run_have_them(tmp_path):
    player = Player.load(make_run(tmp_path / "pong", *PONG, "game.action_planes=true"))
    game = make_game(player.agent.profile.game, 1, 5, training=False)
    stack, frame_BF = FrameStack(player.game, 1), game.reset()
    stack.reset(frame_BF)
    for _ in range(3):
        decision = player.act(frame_BF[0, 0])
        assert decision.value == player.decide(stack.view(), np.ones((1, 6), bool)).value
        frame_BF = game.step(np.array([decision.action])).frame_BF
        stack.push(frame_BF)
    game.close()
    with pytest.raises(UsageError, match=re.escape("frames of shape (1, 42, 42) or (42, 42)")):
        player.act(frame_BF[0])


@pytest.mark.parametrize(
    ("observation", "legal_actions", "text"),
    [
        (
            np.zeros(3, np.float32),
            None,
            "observation: float32 of shape (3,); CartPole-v1 was trained on single float32",
        ),
        (np.zeros((1, 4), np.float32), None, "observation: float32 of shape (1, 4)"),
        (["a", "b", "c", "d"], None, "observation: <U1 of shape (4,)"),
        ([0.0, np.nan, 0.0, 0.0], None, "observation: CartPole-v1 was given NaN, infinity or more than float32"),
        ([0.0, 1e39, 0.0, 0.0], None, "observation: CartPole-v1 was given NaN, infinity or more than float32"),
        ([[0.0, 1.0], [2.0]], None, "observation: not an array: "),
        (np.zeros(4), [[True], []], "legal_actions: not an array: "),
        (np.zeros(4), [True], "legal_actions: bool of shape (1,): give one True or False for each of the 2 actions"),
        (np.zeros(4), [0, 3], "legal_actions: int64 of shape (2,)"),
        (np.zeros(4), [False, False], "legal_actions: none of the 2 actions is legal: the game is over"),
    ],
)
def test_act_refuses_what_it_cannot_play_on_and_has_then_seen_nothing(run, observation, legal_actions, text):
    player = Player.load(run)
    with pytest.raises(UsageError, match=re.escape(text)):
        player.act(observation, legal_actions)
    fresh = Player.load(run)
    assert player.act(observations(1)[0]).value == fresh.act(observations(1)[0]).value


def test_load_refuses_in_one_line_each(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty: no run here \(no profile.toml\)"):
        Player.load(tmp_path / "empty")
    with pytest.raises(CheckpointError, match=f"best: no such checkpoint; there are: {CHECKPOINT}"):
        Player.load(run, checkpoint="best")
    for number in (0, 2001):
        with pytest.raises(ConfigError, match=f"search.num_simulations={number}: input should be"):
            Player.load(run, num_simulations=number)
    (run / "checkpoints" / LATEST).unlink()
    with pytest.raises(CheckpointError, match="latest: no such checkpoint"):
        Player.load(run)


def test_load_refuses_a_checkpoint_of_another_game(run, tmp_path):
    other = make_run(tmp_path / "other", "game.name=LunarLander-v3")
    loaded = CheckpointStore(other / "checkpoints").load(LATEST)
    CheckpointStore(run / "checkpoints").save("step_00000031", loaded, pointer=LATEST)
    with pytest.raises(
        CheckpointError,
        match=r"step_00000031: a checkpoint of LunarLander-v3, but the run's profile has game.name='CartPole-v1'",
    ):
        Player.load(run)


def test_move_answers_with_a_free_square(board):
    assert 0 <= board.move([]) < 9
    assert board.move([0, 4, 1, 8]) in {2, 3, 5, 6, 7}
    assert board.move([0, 4, 1]) not in {0, 4, 1}


def test_move_searches_the_position_after_the_history(board):
    game = make_game(board.agent.profile.game, 1, 0)
    game.reset()
    for action in (4, 0):
        frame = game.step(np.array([action])).frame_BF
    expected = board.decide(frame, game.legal_actions())
    assert board.consider([4, 0]).value == expected.value
    assert board.move((4, np.int64(0))) == expected.action
    assert board.config.discount < 0.0


def test_considered_moves_say_which_actions_were_legal(board):
    assert np.flatnonzero(board.consider([0, 4, 1, 8]).legal_actions).tolist() == [2, 3, 5, 6, 7]


@pytest.mark.parametrize(
    ("history", "text"),
    [
        ([4, 4], "history: ply 2, action 4 is illegal there"),
        ([4, 9], "history: ply 2 is 9: tic_tac_toe has actions 0 to 8"),
        ([-1], "history: ply 1 is -1: tic_tac_toe has actions 0 to 8"),
        (["e4"], "history: ply 1 is 'e4'"),
        ([0, 3, 1, 4, 2], "history: the game is over after its 5 actions: there is no move to make"),
        ([0, 3, 1, 4, 2, 5], "history: the game was over before ply 6 (action 5)"),
    ],
)
def test_move_refuses_histories_that_cannot_be(board, history, text):
    with pytest.raises(UsageError, match=re.escape(text)):
        board.move(history)
    assert 0 <= board.move([]) < 9


def test_move_is_for_boards(run):
    with pytest.raises(UsageError, match=r"CartPole-v1 has one player .* use act\(observation\)"):
        Player.load(run).move([0])


def test_move_is_for_games_with_one_initial_position(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    fixed, drawn = (
        Player.load(make_run(tmp_path / name, f"game.name=tests.games.own_games:{name}"))
        for name in ("Nim", "RandomNim")
    )
    assert fixed.move([0]) in range(3)
    with pytest.raises(UsageError, match=r"RandomNim has no fixed initial position: use act\(observation\)"):
        drawn.move([0])


def test_a_game_of_ones_own_is_loaded_by_scripts_that_permit_its_import(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")  # taken back after the test
    run = make_run(tmp_path / "nim", "game.name=tests.games.own_games:Nim")
    allow_own_code(False)
    with pytest.raises(MzpipeError, match="--allow-env-import"):
        Player.load(run)
    allow_own_code(True)
    assert Player.load(run).move([0]) in range(3)


def test_threads_of_torch_stay_as_they_were(run):
    before = torch.get_num_threads()
    Player.load(run).act(observations(1)[0])
    assert torch.get_num_threads() == before


@pytest.mark.slow
def test_evaluator_package_loads_torch_only_for_the_player():
    code = (
        "import sys, json, mzpipe.launch.train, mzpipe.evaluator; before = 'torch' in sys.modules;"
        "from mzpipe.evaluator import Player; json.dump([before, 'torch' in sys.modules], sys.stdout)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250, check=True)
    assert json.loads(done.stdout) == [False, True]


def test_observations_and_actions_are_those_of_the_environment_whatever_their_spaces(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    player = Player.load(make_run(tmp_path / "spaced", "game.name=tests.games.own_games:Spaced"))
    frame_1F = np.array([[0, 1, 1, 0, 0]], np.float32)  # the second of two, and the first of three
    expected = player.decide(frame_1F, np.ones((1, 3), bool))
    for observation in (np.array([2, -1]), [2, -1], frame_1F[0]):
        player.reset()
        decision = player.act(observation)
        assert decision.value == expected.value
        assert decision.action in (5, 6, 7)
        assert decision.action_index == decision.visits.argmax() == decision.action - 5
    with pytest.raises(UsageError, match=r"frames of shape \(5,\)"):
        player.act([3, -1])


def test_mask_in_an_observation_is_used_and_an_action_of_parts_is_the_environments(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    heap = Player.load(make_run(tmp_path / "heap", "game.name=tests.games.own_games:Countdown"))
    env = Countdown()
    observation, _ = env.reset(seed=0)
    env.step(2)
    observation = env.step(1)[0]
    decision = heap.act(observation)
    assert (decision.action, decision.legal_actions.tolist()) == (0, [True, False, False])
    with pytest.raises(UsageError, match="none of the 3 actions is legal"):
        heap.act(observation, np.zeros(3, np.int8))

    parted = Player.load(make_run(tmp_path / "parted", "game.name=tests.games.own_games:Parted"))
    env = Parted()
    decision = parted.act(env.reset(seed=0)[0], [0, 1, 0, 0, 1])
    assert (decision.action.tolist(), decision.action_index) == ([2, 1], 5)
    assert env.action_space.contains(decision.action)


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_limit_that_is_no_time_is_refused(run, board, seconds):
    words = f"seconds={seconds} must be more than 0"
    with pytest.raises(UsageError, match=words):
        Player.load(run, seconds=seconds)
    with pytest.raises(UsageError, match=words):
        board.consider([], seconds=seconds)


def test_reuse_is_refused_where_the_search_begins_every_move_anew(tmp_path):
    run = make_run(tmp_path / "gumbel", "search.policy=gumbel")
    with pytest.raises(UsageError, match=r"reuse: search\.policy='gumbel'"):
        Player.load(run, reuse=True)


def rows_asked(player, monkeypatch):
    """A list that grows by the leaves of each network call; rows that no leaf needs have the scratch row."""
    network, scratch, rows = player.search._network, player.search._unrolled_row, []
    asked = network.infer_children
    monkeypatch.setattr(
        network,
        "infer_children",
        lambda *columns: (rows.append(int((columns[1] != scratch).sum())), asked(*columns))[1],
    )
    return rows


def test_a_game_is_searched_on_from_the_moves_played_when_reuse_is_on(tmp_path, monkeypatch):
    player = Player.load(make_run(tmp_path / "board", *BOARD), num_simulations=40, leaves=4, reuse=True)
    rows = rows_asked(player, monkeypatch)
    assert player.consider([]).visits.sum() == sum(rows) == 40
    tree, parent, game = player.tree(), 0, []
    for _ in range(2):  # the model's tree has illegal actions too
        parent = next(node for node in np.flatnonzero(tree.parent_K == parent) if tree.action_K[node] not in game)
        game.append(int(tree.action_K[parent]))
    below = [node for node in np.flatnonzero(tree.parent_K == parent) if tree.action_K[node] not in game]
    rows.clear()
    assert player.consider(game).visits.sum() == 40
    assert sum(rows) == 40 - tree.visits_K[below].sum()
    rows.clear()
    assert player.consider([(game[0] + 1) % 9]).visits.sum() == 40 and sum(rows) == 40  # another game


def test_an_episode_is_searched_on_from_its_last_action_when_reuse_is_on(tmp_path, monkeypatch):
    player = Player.load(make_run(tmp_path / "run"), num_simulations=40, reuse=True)
    rows, seen = rows_asked(player, monkeypatch), observations(3)
    first = player.act(seen[0])
    player.act(seen[1])
    assert sum(rows) == 80 - (first.visits[first.action_index] - 1)
    rows.clear()
    player.reset()
    player.act(seen[2])
    assert sum(rows) == 40


def test_a_player_by_the_rules_plays_positions_and_refuses_an_observation_alone(tmp_path):
    options = (*BOARD, "search.model=rules", "search.policy=gumbel")  # tries every action of the root
    player = Player.load(make_run(tmp_path / "rules", *options), num_simulations=100)
    for history, wins in (([0, 3, 1], None), ([0, 3, 1, 4], 2), ([0, 3, 1, 4, 8], 5)):
        decision, tree = player.consider(history), player.tree()
        assert decision.visits.sum() == 100 and not decision.visits[history].any()
        rewards = {int(tree.action_K[node]): tree.reward_K[node] for node in np.flatnonzero(tree.parent_K == 0)}
        assert [action for action, reward in rewards.items() if reward] == ([] if wins is None else [wins])
    with pytest.raises(UsageError, match=re.escape("search.model='rules': a search by the rules begins at a position")):
        player.act(np.zeros((3, 3, 3), np.uint8))
