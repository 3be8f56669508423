"""Segments: private, reserved, checked."""

import os
import stat
import subprocess

import numpy as np
import pytest

from mzpipe.errors import InputOutputError, PlanError
from mzpipe.ipc.segment import HEADER_BYTES, LAYOUT_VERSION, Segment


def test_segment_is_private_and_as_large_as_planned(shm_path):
    Segment.create(shm_path / "a", 1000)
    status = (shm_path / "a").stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == HEADER_BYTES + 1000
    assert status.st_blocks * 512 >= status.st_size  # reserved, not sparse
    assert os.listdir(shm_path) == ["a"]


def test_segment_shows_one_process_what_another_mapping_wrote(shm_path):
    first, second = Segment.create(shm_path / "a", 64), Segment.attach(shm_path / "a", 64)
    np.ndarray((8,), "int64", first.buffer, HEADER_BYTES)[3] = 42
    assert np.ndarray((8,), "int64", second.buffer, HEADER_BYTES)[3] == 42


def test_create_refuses_an_existing_segment(shm_path):
    Segment.create(shm_path / "a", 64)
    with pytest.raises(InputOutputError, match=r"cannot create the segment.*File exists"):
        Segment.create(shm_path / "a", 64)
    assert os.listdir(shm_path) == ["a"]


def test_attach_refuses_a_missing_segment_and_another_size(shm_path):
    with pytest.raises(InputOutputError, match="No such file"):
        Segment.attach(shm_path / "a", 64)
    Segment.create(shm_path / "a", 64)
    with pytest.raises(InputOutputError, match=f"{HEADER_BYTES + 64} bytes, expected {HEADER_BYTES + 128}"):
        Segment.attach(shm_path / "a", 128)


def test_attach_refuses_another_layout_version_and_a_link(shm_path):
    segment = Segment.create(shm_path / "a", 64)
    np.ndarray((3,), "int64", segment.buffer)[1] = 99
    with pytest.raises(InputOutputError, match=f"layout version 99, this program has {LAYOUT_VERSION}"):
        Segment.attach(shm_path / "a", 64)
    (shm_path / "link").symlink_to(shm_path / "a")
    with pytest.raises(InputOutputError):
        Segment.attach(shm_path / "link", 64)


def test_create_says_what_is_needed_and_free_when_the_file_system_is_full(tmp_path):
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", tmp_path], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no mounts here: {mounted.stderr.strip()}")
    try:
        with pytest.raises(PlanError, match=r"needs 1000064 bytes, 65536 are free: .*enlarge /dev/shm"):
            Segment.create(tmp_path / "a", 1_000_000)
        assert os.listdir(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)
