"""A trained agent as an engine of other programs, over standard input and output: GTP, UCI and USI.

serve reads a controller's lines and writes an engine's answers; gtp and uci are the engines.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol, TextIO

# A game of 5,000 moves in UCI has 25,000 characters.
LONGEST_LINE = 1 << 16


class Engine(Protocol):
    """What answers a controller."""

    # Whether the controller has said goodbye.
    has_quit: bool

    def answer(self, line: str) -> Iterable[str]:
        """The lines to write for one line of the controller's; an error is one of them."""
        ...

    def refuse_long(self) -> Iterable[str]:
        """The lines to write for a line of more than LONGEST_LINE characters, which was left out."""
        ...


def serve(engine: Engine, source: BinaryIO | None = None, target: TextIO | None = None) -> None:
    """Answers every line until the controller quits or closes its end; the default is standard input and output."""
    lines, out = read_lines(source or sys.stdin.buffer), target or sys.stdout
    for line in lines:
        for answer in engine.refuse_long() if line is None else engine.answer(line):
            out.write(f"{answer}\n")
            out.flush()
        if engine.has_quit:
            return


def read_lines(source: BinaryIO) -> Iterator[str | None]:
    """The lines of a controller without their ends; None for one that is too long. Other bytes than UTF-8 become ?."""
    while line := source.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE or line.endswith(b"\n"):
            yield line.decode("utf-8", errors="replace").rstrip("\r\n")
            continue
        while line and not line.endswith(b"\n"):
            line = source.readline(LONGEST_LINE)
        yield None
