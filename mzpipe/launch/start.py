"""Decides where a run starts: from a checkpoint, or from scratch, but never over traces of training."""

from ..errors import CheckpointError
from ..replay.journal import has_records
from ..runs.checkpoint import BEST, LATEST, CheckpointStore
from ..runs.directory import RunDirectory
from ..runs.last_moment import LastMoment
from ..runs.resume import ResumePoint, find_resume_point
from ..runs.scores import read_scores
from ..telemetry import View


def find_start(run: RunDirectory, view: View, last: LastMoment | None = None) -> ResumePoint | None:
    """The checkpoint to resume from, with a line if it is not the latest; None for a run that has not trained.

    `last`: the counts of the run's last session, if they are known.

    Raises CheckpointError if the run has trained but none of its checkpoints can be used; changes nothing.
    """
    store = CheckpointStore(run.checkpoints)
    try:
        start, fault = find_resume_point(store), f"{run.checkpoints / LATEST}: missing"
    except CheckpointError as error:
        start, fault = None, str(error)
    traces = _traces(run, store, last) if start is None else []
    if traces:
        raise CheckpointError(
            f"{fault}: no checkpoint to resume from, though {run.path} holds {', '.join(traces)}: restore "
            f"{run.checkpoints}, or move the run directory away, or give another --run-dir"
        )
    if start is not None and start.fault:
        view.line(start.line)
    return start


def _traces(run: RunDirectory, store: CheckpointStore, last: LastMoment | None) -> list[str]:
    """The traces that only training leaves; a session that ends before it trains may leave an empty journal."""
    steps, pointers = store.step_names(), [name for name in (LATEST, BEST) if store.has_entry(name)]
    found = {
        f"{len(steps)} step_*": bool(steps),
        " and ".join(pointers): bool(pointers),
        f"{run.scores.name} with scores": bool(read_scores(run.scores)),
        "a journal with transitions": has_records(run.journal),
        "a run.lock that has counted moves": last is not None and bool(last.env_steps or last.learner_steps),
    }
    return [trace for trace, is_there in found.items() if is_there]
