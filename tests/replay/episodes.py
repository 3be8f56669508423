"""Random episodes, cut into trajectory records the way actors do."""

import numpy as np

from mzpipe.ipc.columns import RecordLayout, Sizes
from mzpipe.ipc.schema import TERMINATED, TRUNCATED, UNFINISHED, Trajectory
from mzpipe.replay.sizes import TableShape, bytes_per_transition
from mzpipe.replay.table import Table
from tests.naive.gather import NaiveEpisode

ENDS = {"terminated": TERMINATED, "truncated": TRUNCATED, "unfinished": UNFINISHED}
FRAME_SHAPE, NUM_ACTIONS, RECORD_LENGTH = (2,), 3, 5


def random_episode(rng: np.random.Generator, length: int, end: str, *, full_fraction: float = 1.0) -> NaiveEpisode:
    """Every value is random, and final_value is 0 only where the rules say so; the other moves' searches are capped."""
    full = [full_fraction == 1.0 or rng.random() < full_fraction for _ in range(length)]
    return NaiveEpisode(
        frames=[rng.normal(size=FRAME_SHAPE).astype(np.float32) for _ in range(length)],
        actions=[int(action) for action in rng.integers(0, NUM_ACTIONS, length)],
        rewards=[float(np.float32(reward)) for reward in rng.normal(size=length)],
        root_values=[float(np.float32(value)) for value in rng.normal(size=length)],
        policies=[
            policy.astype(np.float32) * is_full
            for policy, is_full in zip(rng.dirichlet(np.ones(NUM_ACTIONS), length), full, strict=True)
        ],
        end=end,
        final_value=0.0 if end == "terminated" else float(np.float32(rng.normal())),
    )


def records(episode: NaiveEpisode, number: int, game: int = 0):
    """The episode as records of at most RECORD_LENGTH transitions.

    A record that is not the last carries a wrong final value on purpose: the
    table must use the next record instead.
    """
    total = len(episode.rewards)
    for offset in range(0, total, RECORD_LENGTH):
        length = min(RECORD_LENGTH, total - offset)
        last = offset + length == total
        layout = RecordLayout.of(Trajectory, Sizes(RECORD_LENGTH, NUM_ACTIONS, FRAME_SHAPE, "float32"))
        record = layout.record(bytearray(layout.nbytes))
        steps = slice(offset, offset + length)
        record.game[0], record.episode[0], record.offset[0] = game, number, offset
        record.length[0] = length
        record.end[0] = ENDS[episode.end] if last else UNFINISHED
        record.final_value[0] = episode.final_value if last else 1e6
        record.frame[:length] = episode.frames[steps]
        record.steps.action[:length] = episode.actions[steps]
        record.steps.reward[:length] = episode.rewards[steps]
        record.steps.root_value[:length] = episode.root_values[steps]
        record.steps.search_policy[:length] = episode.policies[steps]
        record.steps.legal_actions[:length] = True
        record.steps.weights_version[:length] = 1
        yield record


def make_table(transitions: int) -> Table:
    """A table that holds exactly this many transitions."""
    per_transition = bytes_per_transition(FRAME_SHAPE, "float32", NUM_ACTIONS)
    return Table(
        TableShape(
            capacity_bytes=transitions * per_transition,
            frame_shape=FRAME_SHAPE,
            frame_dtype="float32",
            num_actions=NUM_ACTIONS,
            trajectory_length=RECORD_LENGTH,
        )
    )
