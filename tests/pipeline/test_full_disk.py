"""A whole run whose disk fills up goes on, and uses the room that comes back."""

import re
import subprocess

import pytest

from tests.pipeline.full_disk import on_small_disk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_run_outlives_a_full_disk_uses_room_that_comes_back_and_says_when_the_last_save_fails(tmp_path):
    try:
        words = on_small_disk(tmp_path)
    except NotImplementedError as error:
        pytest.skip(str(error))
    done = subprocess.run(words, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [done.stdout.count(f": checkpoints are {what} again") for what in ("tried", "written")] == [2, 1]
    assert re.search(r"SIGTERM: .*; no checkpoint is saved: .*No space left on device", done.stdout)
