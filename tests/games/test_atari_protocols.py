"""Protocols, checked by counting emulator frames: no-ops, skip, sticky actions, caps, lives and rewards."""

import numpy as np
import pytest

from mzpipe.config import AtariConfig, GameConfig, find_protocol, under_protocol
from mzpipe.errors import ConfigError
from mzpipe.games import make_game
from mzpipe.games.atari_check import check_emulator

from .helpers import SERVE_AND_WAIT, play

pytestmark = pytest.mark.slow  # emulators take a tenth of a second each to boot

PROTOCOLS = ("atari100k", "muzero", "machado")
each_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


def _game(name: str, protocol: str, num_games: int = 1, *, training: bool):
    config = under_protocol(GameConfig(name=name), find_protocol(protocol))
    return make_game(config, num_games, seed=0, training=training)


def _frames(game) -> int:
    """The emulator's own count, of a game of one."""
    return int(game._env.step(np.zeros(1, np.int64))[4]["frame_number"][0])


@each_protocol
@pytest.mark.parametrize("training", [True, False])
def test_every_action_is_four_emulator_frames(protocol, training):
    game = _game("Pong", protocol, training=training)
    game.reset()
    assert set(np.diff([_frames(game) for _ in range(20)])) == {4}


@pytest.mark.parametrize(("protocol", "most"), [("atari100k", 30), ("machado", 0)])
def test_episodes_begin_with_each_number_of_no_ops_up_to_the_most_and_no_other(protocol, most):
    game = _game("Pong", protocol, 4, training=False)
    num_no_ops = set()
    for _ in range(60):
        game.reset()
        num_no_ops |= set(game._start_frame_B.tolist())
        if num_no_ops >= set(range(most + 1)):
            break
    assert num_no_ops == set(range(most + 1))


@pytest.mark.parametrize(
    ("protocol", "training", "num_frames"),
    [
        ("atari100k", True, 12_000),
        ("atari100k", False, 108_000),
        ("muzero", True, 108_000),
        ("machado", False, 108_000),
    ],
)
def test_description_says_the_cap_and_the_protocol(protocol, training, num_frames):
    description = _game("Freeway", protocol, training=training).spec.description
    assert f"cap {num_frames} frames, protocol {protocol}" in description


def test_a_training_episode_of_atari100k_is_truncated_after_exactly_12000_frames():
    config = under_protocol(GameConfig(name="Breakout", atari=AtariConfig(image_size=16)), find_protocol("atari100k"))
    game = make_game(config, 1, seed=0, training=True)  # without a serve no life is lost
    game.reset()
    ends = [game.step(np.zeros(1, np.int64)).truncated_B[0] for _ in range(12_000 // 4)]
    assert not any(ends[:-1]) and ends[-1]


def test_games_that_begin_alike_part_by_sticky_actions_under_machado():
    game = _game("Boxing", "machado", 3, training=False)
    frame_BF = game.reset()
    assert (frame_BF == frame_BF[0]).all(), "without no-ops"
    final_BF = play(game, np.repeat([[5], [2], [3], [4], [5], [2]], 3, axis=1))[-1].frame_BF
    assert len({frame.tobytes() for frame in final_BF}) > 1


@each_protocol
def test_sticky_actions_are_those_of_an_emulator_with_ales_own_setting(protocol):
    """Compares frame by frame; test_atari_check shows that 0.2 in place of 0.25 is refused."""
    check_emulator(under_protocol(GameConfig(name="Boxing"), find_protocol(protocol)), training=False)


@each_protocol
def test_machado_alone_has_all_18_actions(protocol):
    assert _game("Pong", protocol, training=True).spec.num_actions == (18 if protocol == "machado" else 6)


@pytest.mark.parametrize(("protocol", "training"), [(p, t) for p in PROTOCOLS for t in (True, False)])
def test_rewards_are_clipped_in_training_games_of_atari100k_alone(protocol, training):
    game = _game("Skiing", protocol, training=training)  # every action costs some points
    game.reset()
    worst = min(float(result.reward_B[0]) for result in play(game, np.zeros((10, 1), np.int64)))
    assert (worst == -1.0) if protocol == "atari100k" and training else (worst < -1.0)


@pytest.mark.parametrize(("protocol", "training"), [(p, t) for p in PROTOCOLS for t in (True, False)])
def test_a_life_is_an_episode_in_training_games_of_atari100k_alone(protocol, training):
    game = _game("Breakout", protocol, training=training)
    game.reset()
    results = play(game, np.tile(np.array(SERVE_AND_WAIT)[:, None], (90, 1)))
    num_ends = sum(bool(result.terminated_B[0]) for result in results)
    assert num_ends >= 5 if protocol == "atari100k" and training else num_ends == 1


def test_a_protocol_is_refused_where_the_game_is_not_an_atari_game():
    with pytest.raises(ConfigError, match=r"game.protocol='muzero': CartPole-v1 is not an Atari game, .*leave it out"):
        make_game(under_protocol(GameConfig(), find_protocol("muzero")), 1, seed=0)
