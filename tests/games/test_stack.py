"""FrameStack against a plain list of frames per game."""

import numpy as np
import pytest

from mzpipe.games import FrameStack, GameSpec

B = 3


def _spec(frame_shape: tuple[int, ...], frame_dtype: str, frame_stack: int) -> GameSpec:
    return GameSpec("test", "a test game", frame_shape, frame_dtype, frame_stack, num_actions=2, num_players=1)


SPECS = [
    _spec(shape, dtype, stack)
    for shape, dtype in (((4,), "float32"), ((1, 5, 6), "uint8"), ((3, 5, 6), "uint8"))
    for stack in (1, 2, 4)
]


class NaiveStack:
    """Every frame of every episode, kept; the newest few joined when asked."""

    def __init__(self, spec: GameSpec) -> None:
        self.spec = spec
        self.episodes: list[list[np.ndarray]] = [[] for _ in range(B)]

    def reset(self, frame_BF, mask_B):
        for game in np.flatnonzero(mask_B):
            self.episodes[game] = [frame_BF[game]]

    def push(self, frame_BF):
        for episode, frame in zip(self.episodes, frame_BF, strict=True):
            episode.append(frame)

    def stacked(self):
        blank = [np.zeros(self.spec.frame_shape, self.spec.frame_dtype)] * self.spec.frame_stack
        return np.stack([np.concatenate((blank + frames)[-self.spec.frame_stack :]) for frames in self.episodes])


def _frames(rng, spec):
    return rng.integers(1, 255, (B, *spec.frame_shape)).astype(spec.frame_dtype)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.frame_shape}x{spec.frame_stack}")
def test_frame_stack_agrees_with_the_naive_stack_when_games_end_at_random(spec):
    rng = np.random.default_rng(0)
    stack, naive = FrameStack(spec, B), NaiveStack(spec)
    everyone = np.ones(B, np.bool_)
    first_BF = _frames(rng, spec)
    stack.reset(first_BF)
    naive.reset(first_BF, everyone)
    for _ in range(30):
        frame_BF, mask_B = _frames(rng, spec), rng.random(B) < 0.2
        stack.push(frame_BF)
        naive.push(frame_BF)
        frame_BF[mask_B] = _frames(rng, spec)[mask_B]
        stack.reset(frame_BF, mask_B)
        naive.reset(frame_BF, mask_B)
        out_BS = np.empty((B, *spec.observation_shape), spec.frame_dtype)
        stack.write(out_BS)
        assert np.array_equal(out_BS, naive.stacked())
        assert np.array_equal(stack.view(), out_BS)


def test_frame_stack_shows_zeros_before_the_start_when_reset():
    stack = FrameStack(_spec((1, 2, 2), "uint8", 4), B)
    stack.reset(np.full((B, 1, 2, 2), 9, np.uint8))
    assert not stack.view()[:, :3].any()
    assert (stack.view()[:, 3] == 9).all()


def test_view_refuses_to_be_written():
    stack = FrameStack(_spec((4,), "float32", 2), B)
    with pytest.raises(ValueError, match="read-only"):
        stack.view()[0, 0] = 1.0


def test_write_refuses_an_array_when_its_dtype_differs():
    stack = FrameStack(_spec((4,), "float32", 2), B)
    with pytest.raises(TypeError, match="Cannot cast"):
        stack.write(np.empty((B, 8), np.float64))


def test_observation_shape_joins_frames_along_the_first_axis():
    assert _spec((4,), "float32", 3).observation_shape == (12,)
    assert _spec((3, 96, 96), "uint8", 4).observation_shape == (12, 96, 96)


def test_push_of_a_mask_leaves_the_other_games_as_they_are():
    for depth in (1, 3):
        stack = FrameStack(_spec((4,), "float32", depth), 3)
        frames = [np.full((3, 4), number, np.float32) for number in range(1, 5)]
        stack.reset(frames[0])
        stack.push(frames[1])
        before = stack.view().copy()
        stack.push(frames[2], np.array([False, True, False]))
        assert np.array_equal(stack.view()[[0, 2]], before[[0, 2]])
        assert np.array_equal(stack.view()[1], np.concatenate([before[1], frames[2][1]])[4:])
