"""The example of a network of one's own, in the processes of a run."""

import pytest

from mzpipe.cli.main import main
from tests.pipeline.driver import mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SMALL = {
    "search.num_simulations": 4,
    "evaluator.num_simulations": 4,
    "evaluator.episodes": 2,
    "learner.batch_size": 8,
    "learner.checkpoint_interval": 20,
    "replay.min_size_to_sample": 64,
    "topology.trees_per_lane": 2,
    "stop.learner_steps": 40,
}


def test_example_is_trained_by_processes_that_import_it(tmp_path):
    run = tmp_path / "run"
    words = [each for name, value in SMALL.items() for each in ("--set", f"{name}={value}")]
    trained = mzpipe("train", "examples/own_network.toml", "--run-dir", run, "--allow-env-import", *words)
    assert trained.returncode == 0, trained.stderr
    assert "torch takes its place" not in trained.stdout
    assert (run / "checkpoints" / "step_00000040").is_dir()
    # Whether the run can be resumed: the checkpoint's tensors are those of the code.
    assert main(["plan", str(run / "profile.toml"), "--run-dir", str(run), "--allow-env-import"]) == 0
