"""A program whose schema has one field more: `python -m tests.ipc.one_more_field DIRECTORY`; see test_schema.

The field is declared where a person would declare it, in the text of schema.py; nothing else changes. What is
left to do by hand is to write the field, once for the ring and once for the batch, and to read it.
"""

import importlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

SCHEMA = "mzpipe.ipc.schema"
STEPS_FIELD = '    surprise: Annotated[np.ndarray, Column("float32", (), "how wrong the network was", since=2)]\n'
BATCH_FIELD = '    surprise_B: Annotated[Array, Column("float32", (), "how wrong the network was")]\n'
GAMES = 2


def declare(directory):
    """Loads schema.py with two lines added, in place of the module."""
    text = Path(importlib.util.find_spec(SCHEMA).origin).read_text()
    for line, before in ((STEPS_FIELD, "    # Where actions are vectors,"), (BATCH_FIELD, "    observation_mask_BK:")):
        assert text.count(before) == 1
        text = text.replace(before, line + before)
    path = directory / "schema.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(SCHEMA, path)
    module = sys.modules[SCHEMA] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    importlib.import_module("mzpipe.ipc").schema = module


def record_moves(plane, number_of_moves):
    """The writer: one move after the other into the ring; the surprise is 10 * game + move."""
    from mzpipe.actor.recorder import Recorder
    from mzpipe.ipc.columns import allocate
    from mzpipe.ipc.ring import RingWriter
    from mzpipe.ipc.schema import Steps

    shape, never = plane.shape, np.zeros(GAMES, np.bool_)
    recorder = Recorder(shape, RingWriter(plane.trajectory_ring(0)), num_games=GAMES, first_game=0)
    for move in range(number_of_moves):
        steps = allocate(Steps, shape.sizes(), GAMES)
        steps.search_policy[:], steps.legal_actions[:] = 1.0 / shape.num_actions, True
        steps.surprise[:] = 10 * np.arange(GAMES) + move
        recorder.add(np.zeros((GAMES, *shape.frame_shape), shape.frame_dtype), steps, never, never, np.zeros(GAMES))
        assert recorder.flush()


def take(plane, table, journal):
    """Does with the records what the replay server does; returns the surprises that it finds in the ring."""
    from mzpipe.ipc.ring import RingReader
    from mzpipe.replay.store import fault_of

    found, reader = [], RingReader(plane.trajectory_ring(0))
    while (record := reader.peek()) is not None:
        found += record.steps.surprise[: record.length[0]].tolist()
        assert fault_of(record) is None
        serial = len(found)
        table.insert(record, actor=0, epoch=0, serial=serial)
        journal.append(serial, record, actor=0, epoch=0)
        reader.release()
    assert journal.close(60.0)
    return found


def trained_on(plane, table, step_B):
    """The reader: returns the surprises of these steps, as the learner gets them through the batch ring."""
    import torch

    from mzpipe.ipc.ring import RingWriter
    from mzpipe.learner.batches import BatchFeed

    writer = RingWriter(plane.batch_ring(0))
    writer.claim().unrolls.surprise_B[:] = table.steps.surprise[step_B]
    writer.commit()
    _, batch = BatchFeed(plane.batch_ring(0), torch.device("cpu")).peek()
    return batch.surprise_B.tolist()


def surprises(contents):
    """Returns the surprises in a journal."""
    return [value for each in contents.trajectories() for value in each.record.steps.surprise.tolist()]


def main(directory):
    """Writes into found.json what has arrived at each place."""
    from mzpipe.measure.ceilings.noise import fill_trajectory
    from mzpipe.replay.dataset import export_dataset, read_dataset
    from mzpipe.replay.journal import Journal, JournalLayout, read_journal
    from mzpipe.replay.sizes import TableShape
    from mzpipe.replay.table import Table
    from tests.tiny import make_plane, tiny_profile

    profile = tiny_profile()
    (directory / "plane").mkdir(mode=0o700)
    plane = make_plane(directory / "plane", profile)
    shape = plane.shape
    table = Table(TableShape.of(profile.replay, shape, shape.trajectory_length))
    layout = JournalLayout(shape.frame_shape, shape.frame_dtype, shape.num_actions)
    record_moves(plane, shape.trajectory_length)
    journal = Journal(directory / "journal", layout, segment_bytes=1 << 20)
    found = {"ring": take(plane, table, journal), "table": table.steps.surprise[: table.head].tolist()}
    contents = read_journal(directory / "journal", layout)
    found["journal"] = surprises(contents)
    export_dataset(contents, directory / "dataset", game="Some", discount=1.0)
    found["dataset"] = [value for part in read_dataset(directory / "dataset") for value in part["surprise"].tolist()]
    found["batch"] = trained_on(plane, table, np.arange(shape.rank_batch_size))
    found["before"] = surprises(read_journal(directory / "before"))
    noise = plane.trajectory_ring(0).slots[0]
    fill_trajectory(noise, np.random.default_rng(0))
    found["noise"] = noise.steps.surprise.tolist()
    (directory / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    declare(Path(sys.argv[1]))
    main(Path(sys.argv[1]))
