"""Nothing is imported from the directory in which a run is started, except a game that it is allowed to import."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[2]
SHADOWS = ("json", "random", "queue", "mzpipe", "numpy")


@pytest.mark.parametrize("words", [[], ["--set", "game.name=treasure:Treasure", "--allow-env-import"]])
def test_run_imports_nothing_that_shadows_a_module_when_started_next_to_it(tmp_path, profile, words):
    marker = tmp_path / "imported"
    for name in SHADOWS:
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'a').write({name!r} + chr(10))\n")
    shutil.copy(CLONE / "examples" / "treasure.py", tmp_path)
    command = [sys.executable, CLONE / "bin" / "mzpipe", "train", profile.name, "--run-dir", "run", *words]
    done = subprocess.run(
        [*command, "--set", "stop.learner_steps=20"], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert not marker.exists(), marker.read_text()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stop.learner_steps=20 reached" in done.stdout
