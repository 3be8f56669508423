"""The cells of the dashboard: one value as text, coloured if it needs attention."""

from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from ..format import compact, count, number, percent, score
from ..runs.scores import Evaluation
from .metrics import BY_TAG
from .snapshot import Snapshot

_CLIPPED = "targets/clipped_fraction"

_FULL, _HALF, _EMPTY = "━", "╸", "─"
_EMPTY_STYLE = Style(color="bright_black")


@dataclass(frozen=True)
class Bar:
    """A line of which `fraction` is drawn heavy, in steps of half a character."""

    fraction: float
    style: str
    min_width: int = 6

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields one row exactly as wide as the options allow."""
        width = options.max_width
        halves = int(2 * width * min(max(self.fraction, 0.0), 1.0))
        filled = _FULL * (halves // 2) + _HALF * (halves % 2)
        yield Segment(filled, console.get_style(self.style))
        yield Segment(_EMPTY * (width - len(filled)), _EMPTY_STYLE)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """A width from `min_width` to all that is available."""
        return Measurement(min(self.min_width, options.max_width), options.max_width)


LABEL, QUIET, GOOD, WARNING, TROUBLE = "bright_black", "bright_black", "green", "yellow", "bold red"
# A queue this full makes the stage that writes into it wait; that is back-pressure at work, not a fault.
_FULL_QUEUE = 0.9
# While a version is on its way, the next ones are published.
_FEW_VERSIONS = 2
# The rate limiter fails to hold samples_per_insert if it is further from its target than this share.
_SAMPLES_PER_INSERT_TOLERANCE = 0.1


def measured(value: float | None, show: Callable[[float], str], style: str = "") -> Text:
    """A value, or a dash while there is none."""
    return Text("-", style=QUIET) if value is None else Text(show(value), style=style)


def none_wanted(number_of: float) -> Text:
    """A count of things that should not happen."""
    return Text(count(int(number_of)), style=TROUBLE if number_of > 0 else QUIET)


def way(name: str, now: float, limit: float) -> Text:
    """'12,400 / 40,000': the present value, and the limit that ends the run."""
    show = _LIMIT_FORMATS.get(name, number)
    return Text(f"{show(now)} / {show(limit)}")


def queue_fill(fill: float | None) -> tuple[Bar | Text, Text]:
    """A bar and its percentage; two empty cells for a stage that writes into no queue."""
    if fill is None:
        return Text(""), Text("")
    return Bar(fill, WARNING if fill >= _FULL_QUEUE else GOOD), Text(percent(fill))


def evaluation(latest: Evaluation | None) -> Text:
    """'120.5 ± 33.2 at 3.1k': mean return, standard deviation and learner steps."""
    if latest is None:
        return measured(None, score)
    spread = f" ± {score(latest.return_std)} at {compact(latest.learner_steps)}"
    return Text.assemble((score(latest.return_mean), "bold"), (spread, QUIET))


def episodes(snapshot: Snapshot) -> Text:
    """'812, 88.4 steps long': games that ended, and the mean length of the recent ones."""
    length = snapshot["charts/episode_length"]
    return Text.assemble(count(snapshot.episodes), ("" if length is None else f", {number(length)} steps long", QUIET))


def replay(snapshot: Snapshot) -> Text:
    """'9.8k of 100k' transitions."""
    return Text(f"{compact(int(snapshot.known('replay/transitions')))} of {compact(snapshot.replay_capacity)}")


def samples_per_insert(snapshot: Snapshot) -> Text:
    """Actual value against target; yellow if the rate limiter cannot hold it."""
    actual, target = snapshot["replay/samples_per_insert"], snapshot.known("replay/samples_per_insert_target")
    if actual is None:
        return Text.assemble(("-", QUIET), f" of {target:.1f}")
    held = abs(actual - target) <= _SAMPLES_PER_INSERT_TOLERANCE * target
    return Text.assemble((f"{actual:.1f}", GOOD if held else WARNING), f" of {target:.1f}")


def clipped(snapshot: Snapshot) -> Text:
    """The share of targets outside the support; yellow if the support is too narrow."""
    return measured(
        snapshot[_CLIPPED], percent, "" if BY_TAG[_CLIPPED].is_healthy(snapshot.known(_CLIPPED)) else WARNING
    )


def versions_behind(versions: int) -> Text:
    """The age of a pod's weights; yellow if the link takes longer for a version than the learner."""
    if versions == 0:
        return Text("newest", style=GOOD)
    return Text(f"{count(versions)} behind", style=WARNING if versions > _FEW_VERSIONS else "")


def _whole(x: float) -> str:
    return count(int(x))


def _minutes(x: float) -> str:
    return f"{x:,.1f}"


_LIMIT_FORMATS: dict[str, Callable[[float], str]] = {
    "env_steps": _whole,
    "learner_steps": _whole,
    "minutes": _minutes,
    "return_mean": score,
}
