"""Which view a console gets."""

import io

import pytest
from rich.console import Console

from mzpipe.telemetry import LiveView, NotebookView, PlainView, make_view

from .samples import training


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


def test_a_notebook_shows_the_newest_state_in_one_place_and_messages_as_plain_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[dict[str, str]] = []

    class Place:
        def update(self, state: dict[str, str], *, raw: bool) -> None:
            shown[-1] = state

    def display(state: dict[str, str], *, raw: bool, display_id: bool) -> Place:
        shown.append(state)
        return Place()

    monkeypatch.setattr("IPython.display.display", display)
    view = make_view("run", Console(force_jupyter=True), interval_s=1.0)
    assert type(view) is NotebookView
    view.line("ready")
    for seconds in (1.0, 3.0, 5.0):
        view.update(training(elapsed_s=seconds))
    view.close()
    assert capsys.readouterr().out == "ready\n"
    (state,) = shown
    assert state.keys() == {"text/plain"} and state["text/plain"].startswith("[   5.0s] env ")
