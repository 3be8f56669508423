"""The memory that this process may still take: the host's, or what is left of its control group's limit."""

from pathlib import Path

import psutil

_ROOT = Path("/")
# A limit and what is taken of it, in version 2 and in version 1; the kernel gives back the cache of files.
_VERSION_2 = ("memory.max", "memory.current")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes")
_CACHE = ("active_file", "inactive_file", "total_active_file", "total_inactive_file")


def available_memory_bytes() -> int:
    """Bytes that programs can get without swapping, on this machine and in this container."""
    return min([int(psutil.virtual_memory().available), *_left_in_groups()])


def _left_in_groups() -> list[int]:
    """What is left of every limit above this process; a container sees its own group as the root."""
    found = []
    for group, names in _groups():
        mount = _ROOT / "sys/fs/cgroup" / ("" if names is _VERSION_2 else "memory")
        for path in (group, *group.parents):
            left = _left(mount / path.relative_to("/"), names)
            found += [] if left is None else [left]
    return found


def _groups() -> list[tuple[Path, tuple[str, str]]]:
    """The paths of this process's groups that limit memory."""
    try:
        lines = (_ROOT / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    fields = [line.split(":", 2) for line in lines if line.count(":") >= 2]
    return [
        (Path(path), _VERSION_1 if controllers else _VERSION_2)
        for _, controllers, path in fields
        if path.startswith("/") and (not controllers or "memory" in controllers.split(","))
    ]


def _left(directory: Path, names: tuple[str, str]) -> int | None:
    """Bytes that the group may still take; None without a limit."""
    try:
        limit, taken = (int((directory / name).read_text()) for name in names)
        lines = (line.split() for line in (directory / "memory.stat").read_text().splitlines())
        statistics = {line[0]: int(line[1]) for line in lines if len(line) == 2}
    except (OSError, ValueError):  # "max", or no such group
        return None
    active, inactive, all_active, all_inactive = (statistics.get(name, 0) for name in _CACHE)
    return max(0, limit - taken + max(active + inactive, all_active + all_inactive))
