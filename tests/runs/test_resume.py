"""The checkpoint that a run resumes from."""

import numpy as np

from mzpipe.runs.checkpoint import LATEST, Checkpoint, CheckpointStore
from mzpipe.runs.resume import find_resume_point


def test_find_resume_point_finds_nothing_when_the_first_checkpoint_comes_while_it_looks(tmp_path, monkeypatch):
    """The first rank of a learner saves the untrained model while the others look for a checkpoint."""
    store, other = CheckpointStore(tmp_path), CheckpointStore(tmp_path)

    def look():
        names = other.step_names()
        state = {"env_steps": 0, "learner_steps": 0, "weights_version": 0}
        other.save("step_00000000", Checkpoint({"weight": np.zeros(1)}, {}, state), pointer=LATEST)
        return names

    monkeypatch.setattr(store, "step_names", look)
    assert find_resume_point(store) is None
