"""Dashboard: draws one snapshot as a panel, with blocks below each other, or next to each other from 120 characters."""

from dataclasses import dataclass

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..format import clock, count, duration, number, percent, printable, score
from . import cells
from .cells import Bar
from .metrics import ROWS
from .snapshot import Snapshot, progress, seconds_to

_WIDE = 120
_PODS_SHOWN = 4


def limits_block(snapshot: Snapshot) -> Table:
    """A progress bar towards each limit, with the time that it still takes at the present rate."""
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
    """The rates of stages, and how full the queues that they write into are."""
    table = Table(box=None, expand=True, padding=(0, 2, 0, 0), pad_edge=False, header_style=cells.LABEL)
    table.add_column("stage", no_wrap=True, overflow="ellipsis")
    table.add_column("rate", no_wrap=True, justify="right", style="bold")
    table.add_column("", no_wrap=True, overflow="ellipsis", style=cells.QUIET)
    table.add_column("queue", no_wrap=True, ratio=1)
    table.add_column("", no_wrap=True, justify="right", min_width=4)
    for stage, rate, fill in ROWS:
        items_per_s = snapshot[rate.tag]
        if items_per_s is not None:
            queue = cells.queue_fill(snapshot[fill.tag] if fill else None)
            table.add_row(Text(stage.label), number(items_per_s), Text(rate.unit), *queue)
    return table


def pods_block(snapshot: Snapshot) -> Table:
    """The pods, those that need attention first: where each lives, how fast it plays, and with how old weights."""
    table = Table(box=None, expand=True, padding=(0, 2, 0, 0), pad_edge=False, header_style=cells.LABEL)
    table.add_column("pod", no_wrap=True)
    table.add_column("node", no_wrap=True, overflow="ellipsis", ratio=1)
    for name in ("env steps/s", "weights", "on their way"):
        table.add_column(name, no_wrap=True, justify="right")
    order = sorted(range(len(snapshot.pods)), key=lambda pod: snapshot.pods[pod].is_linked)
    for pod in order[:_PODS_SHOWN]:
        state = snapshot.pods[pod]
        rate = Text(number(state.env_steps_per_s), style="bold") if state.is_linked else Text("no link", cells.TROUBLE)
        age = cells.versions_behind(state.versions_behind)
        table.add_row(str(pod), Text(printable(state.node) or "-"), rate, age, count(state.on_their_way))
    if len(order) > _PODS_SHOWN:
        table.add_row("", Text(f"{snapshot.linked_pods} of {len(order)} pods are linked", style=cells.QUIET))
    return table


def learning_block(snapshot: Snapshot, return_mean: float | None) -> Table:
    """The agent's progress: returns and losses."""
    table = _facts()
    table.add_row("return", cells.measured(return_mean, score, "bold"))
    table.add_row("eval", cells.evaluation(snapshot.evaluation))
    table.add_row("best", cells.measured(snapshot.best_return_mean, score))
    table.add_row("episodes", cells.episodes(snapshot))
    losses = snapshot.losses
    table.add_row("loss", cells.measured(losses.pop("total", None), number, "bold"))
    for name, value in losses.items():
        table.add_row(Text(f"  {name}"), number(value))
    return table


def data_block(snapshot: Snapshot) -> Table:
    """The data that the learner trains on, and counts of what went wrong."""
    table = _facts()
    table.add_row("replay", cells.replay(snapshot))
    table.add_row("samples/insert", cells.samples_per_insert(snapshot))
    table.add_row("weights", f"version {count(snapshot.weights_version)}")
    table.add_row(
        "staleness", cells.measured(snapshot["staleness/weights_versions"], lambda age: f"{age:.1f} versions")
    )
    table.add_row("batch", f"{number(snapshot.known('perf/inference_batch_mean'))} trees")
    table.add_row("clipped", cells.clipped(snapshot))
    table.add_row("skipped", cells.none_wanted(snapshot.known("learner/skipped_steps")))
    table.add_row("restarts", cells.none_wanted(snapshot.restarts))
    return table


def _facts() -> Table:
    """An empty block of names and values."""
    table = Table.grid(expand=True, padding=(0, 2), collapse_padding=True)
    table.add_column(no_wrap=True, style=cells.LABEL)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    return table


@dataclass(frozen=True)
class Dashboard:
    """A renderable; `return_mean` is the newest training return, perhaps from an earlier snapshot."""

    run_name: str
    snapshot: Snapshot
    return_mean: float | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the panel for the present width, so it follows a resized terminal."""
        body = self._wide() if options.max_width >= _WIDE else self._narrow()
        title = Text.assemble(("mzpipe", "bold cyan"), (f"  {self.run_name}" if self.run_name else "", "bold default"))
        rows = Group(self._header(), *body)
        yield Panel(rows, title=title, title_align="left", box=ROUNDED, border_style="bright_black")

    def _header(self) -> RenderableType:
        row = Table.grid(expand=True, padding=(0, 2))
        row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        row.add_column(justify="right", no_wrap=True)
        row.add_row(Text(self.snapshot.note, style="bold"), Text(clock(self.snapshot.elapsed_s)))
        return row

    def _narrow(self) -> list[RenderableType]:
        facts = _side_by_side((learning_block(self.snapshot, self.return_mean), 1), (data_block(self.snapshot), 1))
        return [limits_block(self.snapshot), _rule(), stages_block(self.snapshot), _rule(), facts, *self._pods()]

    def _wide(self) -> list[RenderableType]:
        learning, data = learning_block(self.snapshot, self.return_mean), data_block(self.snapshot)
        facts = _side_by_side((stages_block(self.snapshot), 53), (learning, 30), (data, 28))
        return [limits_block(self.snapshot), _rule(), facts, *self._pods()]

    def _pods(self) -> list[RenderableType]:
        return [_rule(), pods_block(self.snapshot)] if self.snapshot.pods else []


def _side_by_side(*blocks: tuple[RenderableType, int]) -> RenderableType:
    """One row of blocks; each has its share of the width."""
    row = Table.grid(expand=True, padding=(0, 2), collapse_padding=True)
    for _, ratio in blocks:
        row.add_column(ratio=ratio)
    row.add_row(*(block for block, _ in blocks))
    return row


def _rule() -> RenderableType:
    return Rule(style="bright_black")


class LiveView:
    """Redraws the dashboard at each snapshot, from the caller's own thread."""

    def __init__(self, console: Console, *, run_name: str = "") -> None:
        self._console = console
        self._run_name = run_name
        self._return_mean: float | None = None
        self._live: Live | None = None

    def line(self, text: str) -> None:
        """Prints a message above the panel; brackets in it are not markup."""
        self._console.print(Text(printable(text)), soft_wrap=True)

    def update(self, snapshot: Snapshot) -> None:
        """Shows the snapshot; a training return stays until newer games have ended."""
        self._return_mean = snapshot.newest_return(self._return_mean)
        dashboard = Dashboard(self._run_name, snapshot, self._return_mean)
        if self._live is None:
            self._live = Live(dashboard, console=self._console, auto_refresh=False)
            self._live.start(refresh=True)
        else:
            self._live.update(dashboard, refresh=True)

    def close(self) -> None:
        """Leaves the last panel on the screen and gives the terminal back; a second call does nothing."""
        if self._live is not None:
            self._live.stop()
