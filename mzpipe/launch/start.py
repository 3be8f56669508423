"""Where a run starts: at the checkpoint it resumes from, or from scratch, though never over traces of training."""

from ..errors import CheckpointError
from ..replay.journal import has_records
from ..runs.checkpoint import BEST, LATEST, CheckpointStore
from ..runs.directory import RunDirectory
from ..runs.resume import ResumePoint, find_resume_point
from ..runs.scores import read_scores
from ..telemetry import View


def find_start(run: RunDirectory, view: View) -> ResumePoint | None:
    """The checkpoint to go on from, with a line where it is not the latest; None for a run that has not trained.

    Raises CheckpointError where a run has trained and no checkpoint of it can be used; changes nothing.
    """
    store = CheckpointStore(run.checkpoints)
    try:
        start, fault = find_resume_point(store), f"{run.checkpoints / LATEST}: missing"
    except CheckpointError as error:
        start, fault = None, str(error)
    traces = _traces(run, store) if start is None else []
    if traces:
        raise CheckpointError(
            f"{fault}: no checkpoint to go on from, though {run.path} holds {', '.join(traces)}: restore "
            f"{run.checkpoints}, or move the run directory away, or give another --run-dir"
        )
    if start is not None and start.fault:
        view.line(start.line)
    return start


def _traces(run: RunDirectory, store: CheckpointStore) -> list[str]:
    """What only training leaves; a session that ends before it trains may leave a journal, though an empty one."""
    steps, pointers = store.step_names(), [name for name in (LATEST, BEST) if store.has_entry(name)]
    found = {
        f"{len(steps)} step_*": bool(steps),
        " and ".join(pointers): bool(pointers),
        f"{run.scores.name} with scores": bool(read_scores(run.scores)),
        "a journal with transitions": has_records(run.journal),
    }
    return [trace for trace, is_there in found.items() if is_there]
