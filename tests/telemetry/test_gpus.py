"""GPUs as the management library shows them, and the curves and lines that are made of it."""

import sys

import pytest

from mzpipe.runtime import gpus as gpus_module
from mzpipe.telemetry.gpus import GpuReader, GpuUse, free_memory, mean_uses
from mzpipe.telemetry.snapshots import SnapshotMaker
from tests.telemetry.nvml import Nvml, install
from tests.tiny import make_plane, tiny_profile

GIB = 1 << 30


def test_reader_reads_every_gpu_by_its_number(monkeypatch, tmp_path):
    install(monkeypatch, tmp_path, Nvml([87, 0]))
    assert GpuReader().read() == {"0": GpuUse(0.87, GIB, 140 * GIB, 420.0), "1": GpuUse(0.0, 2 * GIB, 140 * GIB, 420.0)}


def test_reader_leaves_out_a_gpu_that_is_lost_and_power_that_is_not_told(monkeypatch, tmp_path):
    nvml = install(monkeypatch, tmp_path, Nvml([87, 5], has_power=False))
    reader = GpuReader()
    nvml.lost.add(0)
    assert reader.read() == {"1": GpuUse(0.05, 2 * GIB, 140 * GIB, None)}


@pytest.mark.parametrize("missing", ["gpu", "driver", "library"])
def test_reader_reads_nothing_where_something_is_missing(monkeypatch, tmp_path, missing):
    install(monkeypatch, tmp_path, Nvml([87], has_driver=missing != "driver"))
    if missing == "gpu":
        (tmp_path / "dev" / "nvidia0").unlink()
    if missing == "library":
        monkeypatch.setitem(sys.modules, "pynvml", None)
    assert GpuReader().read() == {}
    assert free_memory({"cuda:0": "GPU-0"}) == {}


def test_free_memory_is_that_of_the_gpu_with_the_uuid_and_one_that_cannot_be_read_is_left_out(monkeypatch, tmp_path):
    nvml = install(monkeypatch, tmp_path, Nvml([0, 0, 0]))
    nvml.lost.add(2)
    uuids = {"cuda:0": "GPU-1", "cuda:1": "GPU-0", "cuda:2": "GPU-2", "cuda:3": "GPU-of another driver"}
    assert free_memory(uuids) == {"cuda:0": 138 * GIB, "cuda:1": 139 * GIB}


def test_library_is_not_imported_where_there_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus_module, "_ROOT", tmp_path)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    GpuReader()
    assert free_memory({"cuda:0": "GPU-0"}) == {}
    assert "pynvml" not in sys.modules


def test_snapshot_has_a_curve_for_each_gpu_and_none_without(monkeypatch, tmp_path):
    (tmp_path / "plane").mkdir()
    profile = tiny_profile()
    plane = make_plane(tmp_path / "plane", profile)
    assert not [tag for tag in SnapshotMaker(profile, plane).make("").metrics if "gpu" in tag]
    install(monkeypatch, tmp_path, Nvml([87, 5]))
    metrics = SnapshotMaker(profile, plane).make("").metrics
    assert {tag: value for tag, value in metrics.items() if "gpu" in tag} == {
        "perf/gpu_busy/0": 0.87,
        "perf/gpu_busy/1": 0.05,
        "perf/gpu_memory/0": GIB,
        "perf/gpu_memory/1": 2 * GIB,
        "perf/gpu_power/0": 420.0,
        "perf/gpu_power/1": 420.0,
    }


def test_mean_of_readings_is_that_of_each_gpu_with_the_most_memory_that_was_in_use():
    first, second = GpuUse(0.5, GIB, 140 * GIB, 100.0), GpuUse(1.0, 3 * GIB, 140 * GIB, None)
    assert mean_uses([{"0": first}, {}, {"0": second, "1": second}]) == {
        "0": GpuUse(0.75, 3 * GIB, 140 * GIB, 100.0),
        "1": second,
    }
    assert mean_uses([]) == {}


def test_words_of_a_use():
    assert GpuUse(0.87, 12 * GIB, 140 * GIB, 420.4).words() == "87% busy, 12.0 of 140.0 GiB, 420 W"
    assert GpuUse(0.0, 0, 140 * GIB, None).words() == "0% busy, 0.0 of 140.0 GiB"
