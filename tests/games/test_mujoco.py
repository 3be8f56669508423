"""MuJoCo's tasks of gymnasium: forces are sampled, games repeat with their seed, pictures need no window."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mzpipe.config import load_profile
from mzpipe.games import make_game

pytest.importorskip("mujoco")
PROFILE = Path(__file__).parents[2] / "profiles/invertedpendulum.toml"


def played(seed):
    """The frames of 40 moves of two pendulums with forces of one number each, and when the poles fell."""
    game, rng = make_game(load_profile(PROFILE).game, 2, seed), np.random.default_rng(0)
    frames, falls = [game.reset()], []
    for move in range(40):
        step = game.step(rng.uniform(-1.0, 1.0, (2, 1)).astype(np.float32))
        assert (step.reward_B == np.where(step.terminated_B, 0.0, 1.0)).all() and not step.truncated_B.any()
        frames.append(step.frame_BF)
        if step.terminated_B.any():
            falls.append(move)
            game.reset(step.terminated_B)
    game.close()
    return np.stack(frames), falls


def test_pendulum_pays_while_its_pole_stands_and_repeats_with_its_seed():
    frames, falls = played(1)
    again, _ = played(1)
    other, _ = played(2)
    assert falls and frames.dtype == np.float32 and frames.shape == (41, 2, 4)
    np.testing.assert_array_equal(frames, again)
    assert not np.array_equal(frames, other)


def test_force_of_one_is_the_environments_greatest():
    game = make_game(load_profile(PROFILE).game, 1, 0)
    numbers = game.spec.action_numbers
    assert (numbers.lows, numbers.highs) == ((-3.0,), (3.0,))
    game.close()


def test_picture_needs_no_window_and_is_else_one_line():
    """EGL is not on every machine."""
    code = (
        "import os; os.environ.pop('DISPLAY', None); os.environ.pop('WAYLAND_DISPLAY', None)\n"
        "from mzpipe.config import load_profile; from mzpipe.games import make_game\n"
        f"game = make_game(load_profile({str(PROFILE)!r}).game, 1, 0); game.reset()\n"
        "from mzpipe.errors import GameError\n"
        "try: print(game.render().shape)\n"
        "except GameError as error: print('line', error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith(("(480, 480, 3)", "line InvertedPendulum-v5: ")) and done.stdout.count("\n") == 1
