"""Which view a console gets."""

import io

import pytest
from rich.console import Console

from mzpipe.telemetry import LiveView, PlainView, make_view


class Stream(io.TextIOWrapper):
    """A stream of a known kind."""

    def __init__(self, *, terminal: bool, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("stream", "environ", "kind"),
    [
        (Stream(terminal=True), {"TERM": "xterm-256color"}, LiveView),
        (Stream(terminal=False), {"TERM": "xterm-256color"}, PlainView),
        (Stream(terminal=False), {"FORCE_COLOR": "1"}, PlainView),
        (Stream(terminal=True), {"TERM": "dumb"}, PlainView),
        (Stream(terminal=True, encoding="iso8859-1"), {"TERM": "xterm"}, PlainView),
    ],
    ids=["terminal", "pipe", "pipe with colours", "dumb terminal", "terminal without line drawing"],
)
def test_make_view_is_live_only_when_the_stream_can_redraw(
    stream: Stream, environ: dict[str, str], kind: type[object]
) -> None:
    console = Console(file=stream, _environ=environ)
    assert type(make_view("run", console)) is kind


def test_make_view_takes_stdout_when_no_console_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    make_view("run").line("ready")
    assert capsys.readouterr().out == "ready\n"
