"""The memory that is left: of the host, or of the smallest limit of a control group above this process."""

from types import SimpleNamespace

import pytest

from mzpipe.runtime import memory as module

MIB = 1 << 20


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A machine with 1 GiB available, whose files lie in a directory."""
    monkeypatch.setattr(module, "_ROOT", tmp_path)
    monkeypatch.setattr(module.psutil, "virtual_memory", lambda: SimpleNamespace(available=1024 * MIB))

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(str(text))

    return write


def group(host, path, limit, taken, cache, names=("memory.max", "memory.current")):
    for name, number in zip(names, (limit, taken), strict=True):
        host(f"{path}/{name}", number)
    host(f"{path}/memory.stat", f"anon 5\ninactive_file {cache}\nactive_file 0\n")


def test_without_groups_the_hosts_memory_counts(host):
    assert module.available_memory_bytes() == 1024 * MIB


def test_the_limit_of_a_container_counts_and_its_cache_of_files_can_be_given_back(host):
    host("proc/self/cgroup", "0::/\n")
    group(host, "sys/fs/cgroup", 512 * MIB, 300 * MIB, 100 * MIB)
    assert module.available_memory_bytes() == 312 * MIB


@pytest.mark.parametrize(("outer", "expected"), [("max", 200), (400 * MIB, 150)])
def test_the_smallest_limit_on_the_way_to_the_root_counts(host, outer, expected):
    host("proc/self/cgroup", "0::/user/run\n")
    group(host, "sys/fs/cgroup/user/run", 300 * MIB, 100 * MIB, 0)
    group(host, "sys/fs/cgroup/user", outer, 250 * MIB, 0)
    assert module.available_memory_bytes() == expected * MIB


def test_a_group_of_version_1_counts(host):
    host("proc/self/cgroup", "12:cpu,cpuacct:/a\n5:memory:/a\n")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group(host, "sys/fs/cgroup/memory/a", 100 * MIB, 60 * MIB, 10 * MIB, names)
    assert module.available_memory_bytes() == 50 * MIB


def test_a_limit_that_is_more_than_the_host_has_changes_nothing(host):
    host("proc/self/cgroup", "0::/\n")
    group(host, "sys/fs/cgroup", 1 << 62, 0, 0)
    assert module.available_memory_bytes() == 1024 * MIB
