"""The PNG."""

import pytest
from mzbench.plot import draw
from mzbench.report import Panel

from mzpipe.errors import InputOutputError, UsageError

PANELS = [
    Panel("one", "trees", "ns", {"a": [(1.0, 50.0), (64.0, 20.0)], "b": [(1.0, 90.0), (64.0, 900.0)]}),
    Panel("two", "actions", "ns", {"a": [(18.0, 50.0)]}),
]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.slow
def test_draw_writes_a_png(tmp_path):
    draw(PANELS, "both", tmp_path / "both.png")
    assert (tmp_path / "both.png").read_bytes().startswith(_SIGNATURE)


@pytest.mark.slow
def test_draw_refuses_when_the_file_cannot_be_written(tmp_path):
    with pytest.raises(InputOutputError, match=r"--plot .*: cannot be written: Is a directory"):
        draw(PANELS, "both", tmp_path)


def test_draw_refuses_when_there_is_nothing_to_draw(tmp_path):
    with pytest.raises(UsageError, match=r"--plot .*bench.png: this case has no picture: leave --plot out"):
        draw([], "title", tmp_path / "bench.png")
