"""The notebooks of docs/notebooks at a tiny size, and a kernel that is interrupted twice while it trains."""

import os
from pathlib import Path

import nbformat
import psutil
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient

import mzpipe

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
# Generous: the first start compiles every kernel.
PATIENCE_S = 600
TINY = {
    "search": {"num_simulations": 4},
    "actor": {"trajectory_length": 8},
    "replay": {"min_size_to_sample": 50, "max_insert_lead": 200},
    "learner": {"batch_size": 8, "checkpoint_interval": 20},
    "evaluator": {"episodes": 2, "interval_steps": 30},
    "topology": {"trees_per_lane": 2},
}
SHORT = TINY | {"stop": {"learner_steps": 60}}


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


def outputs(book):
    return [output for cell in book.cells if cell.cell_type == "code" for output in cell.outputs]


@pytest.mark.parametrize(
    ("name", "serial", "printed"),
    [
        ("first-run", True, "Run('runs/first-run', 'stop.learner_steps=60 reached')"),
        ("own-game", False, " moves, return "),
    ],
)
def test_notebook_runs_from_its_first_cell_to_its_last(name, serial, printed, tmp_path, nothing_left):
    book = nbformat.read(ROOT / f"docs/notebooks/{name}.ipynb", as_version=4)
    (parameters,) = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", ())]
    parameters.source += f"\nserial, settings = {serial}, {SHORT!r}"
    client = NotebookClient(book, timeout=PATIENCE_S, kernel_name="python3", resources={"metadata": {"path": tmp_path}})
    client.execute(env=environment())
    assert printed in str(outputs(book))
    # Messages are text, the state of the run stands in one place, and only the plot is more than text.
    assert {kind for output in outputs(book) for kind in output.get("data", ())} <= {"text/plain", "image/png"}
    assert "stderr" not in {output.get("name") for output in outputs(book)}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_stored_without_outputs(path):
    book = nbformat.read(path, as_version=4)
    assert outputs(book) == [] and {cell.get("execution_count") for cell in book.cells} == {None}


class Kernel:
    """A notebook's kernel: `execute` returns what a cell printed, and its error's name and text ("" without one)."""

    def __init__(self, directory):
        self.manager, self._client = start_new_kernel(kernel_name="python3", cwd=directory, env=environment())

    def execute(self, code, heard=lambda text: None):
        request, texts, error = self._client.execute(code), [], ("", "")
        while True:
            message = self._client.get_iopub_msg(timeout=PATIENCE_S)
            content = message["content"]
            if message["parent_header"].get("msg_id") != request:
                continue
            if content.get("execution_state") == "idle":
                return "".join(texts), error
            if message["msg_type"] == "error":
                error = content["ename"], content["evalue"]
            texts.append(content.get("text", ""))
            heard(texts[-1])

    def children(self):
        return psutil.Process(self.manager.provisioner.pid).children(recursive=True)

    def close(self):
        self._client.stop_channels()
        self.manager.shutdown_kernel()


@pytest.fixture
def kernel(tmp_path, nothing_left):
    kernel = Kernel(tmp_path)
    yield kernel
    kernel.close()


def test_a_kernel_that_is_interrupted_twice_ends_the_run_in_one_line_and_the_same_call_resumes_it(kernel, tmp_path):
    words = iter(("saved", "stopping"))
    waited_for = [next(words)]

    def interrupt(text):
        if waited_for[0] and waited_for[0] in text:
            waited_for[0] = next(words, "")
            kernel.manager.interrupt_kernel()

    kernel.execute("import mzpipe\ndef saved(path): print('saved', path.name)")
    train = f"run = mzpipe.train('cartpole', 'run', on_checkpoint=saved, **{TINY!r}, stop={{'learner_steps': %d}})"
    _, (name, text) = kernel.execute(train % 1_000_000, interrupt)
    assert waited_for == [""]
    assert (name, text) == (
        "KeyboardInterrupt",
        "run: SIGINT: draining and saving a checkpoint; the same call resumes it",
    )
    assert kernel.children() == []
    (steps,) = [path.name for path in mzpipe.Run(tmp_path / "run").checkpoints if path.name.startswith("step_")][-1:]
    more = int(steps.removeprefix("step_")) + 10
    printed, error = kernel.execute(train % more + "\nprint(run)")
    assert error == ("", "")
    assert "run: resuming at env step " in printed and f"Run('run', 'stop.learner_steps={more} reached')" in printed
    assert kernel.children() == []
