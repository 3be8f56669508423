"""The script of docs/playing.md runs as printed, in whatever directory the run is."""

import re
import runpy
from pathlib import Path

import numpy as np

from tests.trained.runs import make_run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "playing.md"


def test_script_of_the_page_plays_a_whole_game(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (tmp_path / "runs").mkdir()
    make_run(tmp_path / "runs" / "first")
    (tmp_path / "script.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path("script.py")
    assert names["terminated"] or names["truncated"]
    assert names["decision"].visits.sum() == 4
    assert np.isfinite(names["decision"].value)
