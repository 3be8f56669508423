"""`mzpipe clean`: removes the leftovers of killed runs; keeps live runs and those of other users."""

import argparse
import sys

from ..runs.directory import sweep_leftovers
from ..runtime.environment import kernel_cache, remove_unused


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No arguments."""


def run(arguments: argparse.Namespace) -> int:
    """Removes leftovers and prints their names."""
    removed = sweep_leftovers()
    current = kernel_cache()
    for path in sorted(current.parent.glob("kernels-*")):
        if path != current and remove_unused(path):
            removed.append(path)
    for path in removed:
        sys.stdout.write(f"removed {path}\n")
    sys.stdout.write(f"{len(removed)} leftovers removed\n")
    return 0
