"""Mutations can be made, one by one, and made again."""

import os
import random
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mzpipe.replay.journal.state import encode_state
from mzpipe.runs.checkpoint import BEST, CheckpointStore
from mzpipe.runs.files import remove_any
from mzpipe.runs.scores import ScoresFile
from tests.drills.mutations import damage
from tests.drills.mutations.commands import snapshot
from tests.drills.mutations.damage import clear, draw
from tests.drills.mutations.forged import forgeries
from tests.replay.journal.samples import closed_journal
from tests.telemetry.samples import EVALUATION
from tests.tiny import make_plane, tiny_profile
from tests.trained.runs import make_run


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run with every kind of file that is changed."""
    place = tmp_path_factory.mktemp("kept") / "place"
    place.mkdir()
    run, memory = make_run(place / "run"), place / "shm" / "mzpipe-0-0123456789ab"
    store = CheckpointStore(run / "checkpoints")
    saved = store.load("latest")
    for steps, pointer, mean in ((10, "latest", {}), (20, BEST, {"return_mean": 7.0}), (30, "latest", {})):
        state = {**saved.state, "learner_steps": steps, "protocol": "greedy", **mean}
        optimizer = {"0.exp_avg": next(iter(saved.weights.values()))}
        store.save(f"step_{steps:08d}", saved._replace(state=state, optimizer=optimizer), pointer=pointer)
    closed_journal(run / "journal")
    arrays = {"serial": np.arange(3), "length": np.ones(3, np.int32), "weight": np.ones(3, np.float32)}
    (run / "journal" / "state.mzs").write_bytes(
        encode_state({"next_serial": 41, "inserted": 90, "session": 1, "alpha": 1.0}, arrays)
    )
    ScoresFile(run / "scores.csv").append(replace(EVALUATION))
    (run / "run.lock").write_text(
        '{"pid": 1, "run_id": "abcdef012345", "runtime_directory": "/dev/shm/x", "last": [1, 1, 1, 0]}'
    )
    for path in (run / "logs", run / "tensorboard", memory):
        path.mkdir(parents=True)
    make_plane(memory, tiny_profile())
    return place


def mutated(kept, place, mutation):
    """The snapshots before and after; `place` holds the copy meanwhile."""
    shutil.copytree(kept, place, symlinks=True)
    before = snapshot(place)
    mutation.change(place / mutation.target)
    after = snapshot(place)
    clear(place)
    return before, after


def contents(path):
    """Its bytes, or what else it is."""
    if path.is_symlink() or not path.exists():
        return path.is_symlink() and os.readlink(path)
    return path.is_dir() or path.read_bytes()


def put_back(kept, place, name):
    remove_any(place / name)
    if (kept / name).exists():
        (shutil.copytree if (kept / name).is_dir() else shutil.copy)(kept / name, place / name)


def test_every_forgery_changes_its_target(kept, tmp_path):
    place, unchanged = tmp_path / "place", []
    shutil.copytree(kept, place)
    for mutation in forgeries(kept, 1):
        target = place / mutation.target
        before = contents(target)
        mutation.change(target)
        if contents(target) == before:
            unchanged.append(f"{mutation.target} {mutation.name}")
        for name in (mutation.target, f"{mutation.target.rpartition('/')[0]}/manifest.json"):
            put_back(kept, place, name)
    assert not unchanged, unchanged


def test_draw_makes_the_same_mutation_again_and_every_way_in_time(kept, tmp_path):
    names = set()
    for seed in range(150):
        first, again = (draw(random.Random(seed), kept) for _ in range(2))
        assert (first.name, first.target) == (again.name, again.target)
        names.add(first.name)
        if seed < 8:
            assert mutated(kept, tmp_path / "a", first) == mutated(kept, tmp_path / "a", again)
    assert names == damage._WAYS.keys() | damage._FILE_WAYS.keys()
