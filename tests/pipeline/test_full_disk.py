"""A whole run whose disk fills up goes on, and uses the room that comes back."""

import re
import shutil
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
ALONE = ["unshare", "--map-root-user", "--mount"]  # needs no privileges where the kernel allows it


def test_run_outlives_a_full_disk_uses_room_that_comes_back_and_says_when_the_last_save_fails(tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    (tmp_path / "run").mkdir()
    mount = f"mount -t tmpfs -o size=12m none {tmp_path / 'run'}"
    probe = subprocess.run([*ALONE, "sh", "-c", mount], capture_output=True, text=True)
    if probe.returncode != 0:
        pytest.skip(f"no private mounts here: {probe.stderr.strip()}")
    script = f"{mount} && exec {sys.executable} -m tests.pipeline.full_disk {tmp_path}"
    done = subprocess.run([*ALONE, "sh", "-c", script], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [done.stdout.count(f": checkpoints are {what} again") for what in ("tried", "written")] == [2, 1]
    assert re.search(r"SIGTERM: .*; no checkpoint is saved: .*No space left on device", done.stdout)
