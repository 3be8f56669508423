"""What a game returns is checked for every family, before games are batched, and its environments are closed.

Every line names the game, the place and the value.
"""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from mzpipe.config import AtariConfig, GameConfig, GymnasiumConfig
from mzpipe.errors import GameError, UsageError
from mzpipe.games import closing, make_game, opened

from . import faulty

B = 3
GAMES = "tests.games.faulty"
REGISTERED, OWN, PLAIN = faulty.REGISTERED, f"{GAMES}:Faulty", f"{GAMES}:Plain"
OUTSIDE = r"step\(\) returned the observation .*{}.*, which is outside of its observation_space {}"
# Fault -> the families that can have it, and the line after the game's name.
EVERY, GYM = (REGISTERED, OWN, PLAIN), (REGISTERED, OWN)
FAULTS = {
    "shape": (EVERY, r"step\(\) returned an? (observation|frame) of shape \(4,\)"),
    "number for a vector": (GYM, r"step\(\) returned an observation of shape \(\): its observation_space is Box"),
    "nan": (EVERY, r"step\(\) returned a frame with numbers that are not finite: nan"),
    "too large for float32": (EVERY, r"step\(\) returned a frame with numbers that are not finite: inf"),
    "int64 for uint8": (GYM, r"step\(\) returned the observation .* of int64: its observation_space is Box"),
    "fractions for integers": (GYM, r"step\(\) returned the observation .* of float64: its observation_space is Box"),
    "too large for int8": (GYM, OUTSIDE.format("300", "Box")),
    "above a Box": (GYM, OUTSIDE.format("10", "Box")),
    "below a Discrete": (GYM, OUTSIDE.format("-1", r"Discrete\(3\)")),
    "below a Discrete's start": (GYM, OUTSIDE.format("1", r"Discrete\(3, start=2\)")),
    "above a MultiDiscrete": (GYM, OUTSIDE.format("2 0", "MultiDiscrete")),
    "above a MultiBinary": (GYM, OUTSIDE.format("2 0", r"MultiBinary\(2\)")),
    "none": (EVERY, r"step\(\) returned (the observation None of object|a frame of shape \(\))"),
    "ragged": (EVERY, r"step\(\) returned an? (observation|frame) that is no array"),
    "first observation": (EVERY, r"reset\(\) returned (the observation None of object|a frame of shape \(\))"),
    "four values": (GYM, r"step\(\) must return \(observation, .*, info\), it returned 4 values"),
    "a list": (EVERY, r"step\(\) must return \(.*\), it returned (\[|list)"),
    "reward nan": (EVERY, r"step\(\) returned the reward nan, which is not a finite number"),
    "reward infinite": (EVERY, r"step\(\) returned the reward .*inf.*, which is not a finite number"),
    "reward of shape (1,)": (EVERY, r"step\(\) returned the reward \[0\.\], which is not a finite number"),
    "reward none": (EVERY, r"step\(\) returned the reward None, which is not a finite number"),
    "terminated a word": (EVERY, r"step\(\) returned terminated='no', which is neither True nor False"),
    "truncated an array": (EVERY, r"step\(\) returned truncated=\[False\], which is neither True nor False"),
    "info none": (GYM, r"step\(\) returned the info None, which is no dict"),
    "reset none": (EVERY, r"reset\(\) (must return \(observation, info\), it returned None|returned a frame of shape)"),
    "reset without info": (GYM, r"reset\(\) must return \(observation, info\), it returned \[0\. 0\. 0\.\]"),
    "reset info a list": (GYM, r"reset\(\) returned the info \[\], which is no dict"),
    "reset raises": (EVERY, r"reset\(\) raised KeyError: 'lost' \(faulty.py, line \d+\)"),
    "reset exits": (EVERY, r"reset\(\) called sys.exit\('bye'\) \(faulty.py, line \d+\)"),
    "step raises": (EVERY, r"step\(\) raised ValueError: two lines \(faulty.py, line \d+\)"),
    "step exits": (EVERY, r"step\(\) called sys.exit\(None\) \(faulty.py, line \d+\)"),
    "close raises": (EVERY, r"close\(\) raised OSError: still there \(faulty.py, line \d+\)"),
    "no action_space": (GYM, r"its action_space is None, not one of gymnasium's spaces"),
    "empty Box": (GYM, r"it observes Box\(\[\], \[\], \(0,\), float32\): .* only if they hold a number"),
    "constructor": (EVERY, r"NameNotFound: Environment `NoSuchGame` doesn't exist"),
    "third constructor": (EVERY, "'third'"),
}


@pytest.fixture(autouse=True)
def _counted(monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    monkeypatch.setattr(faulty, "COUNTS", {"made": 0, "closed": 0})
    faulty.register()


def play(name, fault):
    """One step of a batch."""
    config = GameConfig(name=name, gymnasium=GymnasiumConfig(arguments={"fault": fault}))
    with opened(make_game(config, B, seed=0)) as game:
        game.reset()
        return game.step(np.zeros(B, np.int64))


@pytest.mark.parametrize(("fault", "name"), [(fault, name) for fault, (names, _) in FAULTS.items() for name in names])
def test_a_fault_of_a_game_is_one_line_with_its_name_and_every_environment_is_closed(fault, name):
    with pytest.raises(UsageError, match=FAULTS[fault][1]) as caught:
        play(name, fault)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)
    # A constructor that fails has made nothing to close.
    assert faulty.COUNTS["closed"] == faulty.COUNTS["made"] - (fault == "constructor") > -1


@pytest.mark.parametrize("name", EVERY)
def test_a_close_that_does_not_return_is_cut_short_and_the_others_are_closed(name, monkeypatch):
    monkeypatch.setattr(closing, "LIMIT_S", 0.3)
    began_s = time.monotonic()
    with pytest.raises(GameError, match=r"Faulty|Plain: close\(\) did not return within 0.3 s"):
        play(name, "close hangs")
    assert faulty.COUNTS["closed"] == faulty.COUNTS["made"]
    assert time.monotonic() - began_s < 30.0


def test_a_reset_that_takes_neither_seed_nor_options_is_named():
    with pytest.raises(GameError, match=r"reset\(\) raised TypeError: .*unexpected keyword argument 'seed'"):
        play(f"{GAMES}:Signature", "")


def test_info_may_differ_between_environments_and_steps():
    assert play(f"{GAMES}:Differing", "").reward_B.tolist() == [1.0] * B


def _bad_atari():
    game = make_game(GameConfig(name="Pong", atari=AtariConfig(image_size=42)), B, seed=0)
    step = game._env.step
    stub = SimpleNamespace(step=lambda action: (step(action)[0], np.full(B, np.nan), *step(action)[2:]), ale=None)
    stub.reset, stub.close = game._env.reset, game._env.close
    game._env = stub
    return game


def _bad_board():
    game = make_game(GameConfig(name="tic_tac_toe"), B, seed=0)
    game._play = lambda *_: (np.nan, False, False)
    return game


def _bad_minatar():
    game = make_game(GameConfig(name="MinAtar/Breakout-v1"), B, seed=0)
    game._games[1]._env.act = lambda action: (np.nan, False)
    return game


@pytest.mark.parametrize("make", [_bad_atari, _bad_board, _bad_minatar])
def test_rewards_of_a_packages_games_are_checked_too(make):
    with opened(make()) as game:
        game.reset()
        with pytest.raises(GameError, match=r"step\(\) returned the rewards? .*nan.*, which (is|are) not"):
            game.step(np.zeros(B, np.int64))
