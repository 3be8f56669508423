"""The blocks of the dashboard: limits, stages, learning and data. Each is a table whose rows never wrap."""

from rich.table import Table
from rich.text import Text

from ..format import count, duration, number, percent, score
from . import cells
from .bar import Bar
from .limits import progress, seconds_to
from .snapshot import Snapshot


def limits_block(snapshot: Snapshot) -> Table:
    """A progress bar towards each limit, with the time it takes at the present rate."""
    table = Table.grid(expand=True, padding=(0, 2), collapse_padding=True)
    table.add_column(no_wrap=True, style=cells.LABEL)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(ratio=1)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, justify="right", style="cyan", min_width=6)
    for name, (now, limit) in snapshot.limits.items():
        fraction = progress(now, limit)
        seconds = seconds_to(snapshot, name)
        left = "" if seconds is None else duration(seconds)
        bar = Bar(fraction, cells.GOOD if fraction >= 1.0 else "cyan")
        table.add_row(Text(name.replace("_", " ")), cells.way(name, now, limit), bar, percent(fraction), left)
    return table


def stages_block(snapshot: Snapshot) -> Table:
    """The rate of every stage, and how full the queue is that it writes into."""
    table = Table(box=None, expand=True, padding=(0, 2, 0, 0), pad_edge=False, header_style=cells.LABEL)
    table.add_column("stage", no_wrap=True, overflow="ellipsis")
    table.add_column("rate", no_wrap=True, justify="right", style="bold")
    table.add_column("", no_wrap=True, overflow="ellipsis", style=cells.QUIET)
    table.add_column("queue", no_wrap=True, ratio=1)
    table.add_column("", no_wrap=True, justify="right", min_width=4)
    for stage in snapshot.stages:
        bar, fill = cells.queue_fill(stage.queue_fill)
        table.add_row(Text(stage.name), number(stage.items_per_s), Text(stage.unit), bar, fill)
    return table


def learning_block(snapshot: Snapshot, return_mean: float | None) -> Table:
    """What the agent has learnt: returns and losses."""
    table = _facts()
    table.add_row("return", cells.measured(return_mean, score, "bold"))
    table.add_row("eval", cells.evaluation(snapshot.evaluation))
    table.add_row("best", cells.measured(snapshot.best_return_mean, score))
    table.add_row("episodes", cells.episodes(snapshot))
    losses = dict(snapshot.losses)
    table.add_row("loss", cells.measured(losses.pop("total", None), number, "bold"))
    for name, value in losses.items():
        table.add_row(Text(f"  {name}"), number(value))
    return table


def data_block(snapshot: Snapshot) -> Table:
    """What the learner learns from, and what went wrong."""
    table = _facts()
    table.add_row("replay", cells.replay(snapshot))
    table.add_row("samples/insert", cells.samples_per_insert(snapshot))
    table.add_row("weights", f"version {count(snapshot.weights_version)}")
    table.add_row("staleness", cells.measured(snapshot.staleness, lambda age: f"{age:.1f} versions"))
    table.add_row("batch", f"{number(snapshot.inference_batch_mean)} trees")
    table.add_row("clipped", cells.clipped(snapshot.clipped_fraction))
    table.add_row("skipped", cells.none_wanted(snapshot.skipped_steps))
    table.add_row("restarts", cells.none_wanted(snapshot.restarts))
    return table


def _facts() -> Table:
    """An empty block of names and values."""
    table = Table.grid(expand=True, padding=(0, 2), collapse_padding=True)
    table.add_column(no_wrap=True, style=cells.LABEL)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    return table
