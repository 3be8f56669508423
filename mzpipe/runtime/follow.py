"""A program that ends with the process that starts it, and keeps to its cores; then it becomes the program itself.

Run as `python -m mzpipe.runtime.follow PARENT_PID CORES MODULE WORDS...`; CORES are numbers with commas.
"""

import os
import sys

from .process import die_with_parent


def main(parent_pid: str, cores: str, *words: str) -> None:
    """Replaces this process; what it starts from then on keeps to these cores too."""
    die_with_parent(int(parent_pid))
    os.sched_setaffinity(0, map(int, cores.split(",")))
    os.execv(sys.executable, [sys.executable, "-P", "-m", *words])


if __name__ == "__main__":
    main(*sys.argv[1:])
