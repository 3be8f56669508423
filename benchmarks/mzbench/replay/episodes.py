"""The data of the case `replay`: episodes over noise or over a game, and the records that actors cut them into.

Shape legend    T transitions   A actions   F frames played   B games
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mzpipe.config import GameConfig
from mzpipe.games.registry import make_game
from mzpipe.ipc.columns import RecordLayout, Sizes, allocate, named
from mzpipe.ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Steps, Trajectory

NUM_ACTIONS, FRAME_SHAPE = 18, (1, 84, 84)
# In transitions; the last one of a table may be shorter.
EPISODE_LENGTHS = (300, 1500)


class Episodes(NamedTuple):
    """Transitions as arrays; for each, where its episode begins and stops, and how the episode ends."""

    frame_T: np.ndarray
    steps: Steps
    first_T: np.ndarray
    stop_T: np.ndarray
    terminated_T: np.ndarray
    final_value_T: np.ndarray


def make_episodes(frame_T: np.ndarray, rng: np.random.Generator) -> Episodes:
    """Episodes over these frames; the rest is random: rewards are rare, every other episode is truncated."""
    total = len(frame_T)
    borders = _borders(0, total, EPISODE_LENGTHS, rng)
    lengths, number = np.diff(borders), np.arange(len(borders) - 1)
    terminated = number % 2 == 0
    final_value = np.where(terminated, 0.0, rng.standard_normal(len(number))).astype(np.float32)
    steps = allocate(Steps, Sizes(num_actions=NUM_ACTIONS), total)
    steps.action[:] = rng.integers(0, NUM_ACTIONS, total, np.int32)
    steps.reward[:] = rng.choice(np.array([-1, 0, 1], np.float32), total, p=[0.02, 0.96, 0.02])
    steps.root_value[:] = rng.standard_normal(total, np.float32)
    steps.search_policy[:] = rng.dirichlet(np.full(NUM_ACTIONS, 0.3), total)
    steps.legal_actions[:] = True
    return Episodes(
        frame_T=frame_T,
        steps=steps,
        first_T=np.repeat(borders[:-1], lengths),
        stop_T=np.repeat(borders[1:], lengths),
        terminated_T=np.repeat(terminated, lengths),
        final_value_T=np.repeat(final_value, lengths),
    )


def random_episodes(num_transitions: int, rng: np.random.Generator) -> Episodes:
    """Episodes over frames of noise."""
    return make_episodes(rng.integers(0, 256, (num_transitions, *FRAME_SHAPE), np.uint8), rng)


def play(game: str, num_frames: int) -> np.ndarray:
    """Consecutive frames of a game played at random, uint8 [F, 1, 84, 84]."""
    games, rng = make_game(GameConfig(name=game), num_games=1, seed=0), np.random.default_rng(0)
    frames = [games.reset()[0].copy()]
    while len(frames) < num_frames:
        result = games.step(rng.integers(0, games.spec.num_actions, 1))
        over_B = result.terminated_B | result.truncated_B
        frames.append((games.reset(over_B) if over_B.any() else result.frame_BF)[0].copy())
    games.close()
    return np.stack(frames)


def records(episodes: Episodes, rng: np.random.Generator, lengths: tuple[int, int]) -> Iterator[Trajectory]:
    """The episodes as trajectory records, the way actors cut them; one buffer serves all records."""
    frame_shape, dtype = episodes.frame_T.shape[1:], episodes.frame_T.dtype.name
    sizes = Sizes(length=lengths[1], num_actions=NUM_ACTIONS, frame_shape=frame_shape, frame_dtype=dtype)
    layout = RecordLayout.of(Trajectory, sizes)
    record = layout.record(bytearray(layout.nbytes))
    first = 0
    while first < len(episodes.frame_T):
        stop = int(episodes.stop_T[first])
        for begin, end in itertools.pairwise(_borders(first, stop, lengths, rng).tolist()):
            _write_record(record, episodes, begin, end)
            yield record
        first = stop


def _write_record(record: Trajectory, episodes: Episodes, begin: int, end: int) -> None:
    length, stop, first = end - begin, int(episodes.stop_T[begin]), episodes.first_T[begin]
    over = TERMINATED if episodes.terminated_T[begin] else TRUNCATED
    record.game[0], record.episode[0], record.offset[0], record.length[0] = 0, first, begin - first, length
    record.end[0] = over if end == stop else UNFINISHED
    next_value = episodes.steps.root_value[min(end, stop - 1)]
    record.final_value[0] = episodes.final_value_T[begin] if end == stop else next_value
    record.frame[:length] = episodes.frame_T[begin:end]
    for column, values in zip(named(record.steps).values(), named(episodes.steps).values(), strict=True):
        column[:length] = values[begin:end]


def _borders(first: int, stop: int, lengths: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """first, ..., stop, at distances within `lengths`; the last two may be closer."""
    borders = [first]
    while borders[-1] < stop:
        borders.append(min(stop, borders[-1] + int(rng.integers(lengths[0], lengths[1] + 1))))
    return np.array(borders)
