"""Dashboard: one snapshot as a panel, in one column of blocks at 80 characters and wider from 110 on."""

from dataclasses import dataclass

from rich.box import ROUNDED
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from ..format import clock
from .blocks import data_block, learning_block, limits_block, stages_block
from .snapshot import Snapshot

_WIDE = 110


@dataclass(frozen=True)
class Dashboard:
    """A renderable; `return_mean` is the newest training return, which this snapshot need not have."""

    run_name: str
    snapshot: Snapshot
    return_mean: float | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yields the panel that suits the width at hand, so it follows a resized terminal."""
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
        return [limits_block(self.snapshot), _rule(), stages_block(self.snapshot), _rule(), facts]

    def _wide(self) -> list[RenderableType]:
        learning, data = learning_block(self.snapshot, self.return_mean), data_block(self.snapshot)
        facts = _side_by_side((stages_block(self.snapshot), 25), (learning, 16), (data, 15))
        return [limits_block(self.snapshot), _rule(), facts]


def _side_by_side(*blocks: tuple[RenderableType, int]) -> RenderableType:
    """Blocks with their shares of the width."""
    row = Table.grid(expand=True, padding=(0, 2), collapse_padding=True)
    for _, ratio in blocks:
        row.add_column(ratio=ratio)
    row.add_row(*(block for block, _ in blocks))
    return row


def _rule() -> RenderableType:
    return Rule(style="bright_black")
