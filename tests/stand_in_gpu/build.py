"""Builds the stand-in's library on its first use, once for a version of torch and of these sources."""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

_SOURCES = Path(__file__).parent / "device"


def compiler() -> str | None:
    """The C++ compiler: CXX, g++ or c++; None where there is none."""
    return next(filter(None, map(shutil.which, filter(None, (os.environ.get("CXX"), "g++", "c++")))), None)


@functools.cache
def library() -> Path:
    """The built library; another process that builds it is waited for."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mzpipe"
    home.mkdir(parents=True, exist_ok=True)
    built = home / f"stand-in-gpu-{version('torch')}-{_digest()}.so"
    with open(home / "stand-in-gpu.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _build(built)
    return built


def _digest() -> str:
    sources = sorted(path for path in _SOURCES.iterdir() if path.suffix in (".h", ".cpp"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def _build(built: Path) -> None:
    torch = Path(find_spec("torch").origin).parent
    unfinished = built.with_suffix(f".{os.getpid()}")
    words = [
        *(compiler(), "-shared", "-fPIC", "-O1", "-w", "-std=c++20"),
        *(f"-I{torch / 'include'}", str(_SOURCES / "stand_in_gpu.cpp"), "-o", str(unfinished)),
        *(f"-L{torch / 'lib'}", f"-Wl,-rpath,{torch / 'lib'}", "-ltorch_cpu", "-lc10"),
    ]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, f"the stand-in GPU does not compile: {' '.join(words)}\n{done.stderr[-4000:]}"
    os.replace(unfinished, built)
