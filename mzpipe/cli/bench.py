"""`mzpipe bench [CASE]`: measures mzpipe against named references; needs a clone of the repository."""

import argparse
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ..errors import UsageError

_BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    _command().add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Measures, prints a table, writes the requested files."""
    return int(_command().run(arguments))


def _command() -> ModuleType:
    if not (_BENCHMARKS / "mzbench").is_dir():
        raise UsageError(
            f"there is no {_BENCHMARKS / 'mzbench'}: the benchmarks are not installed with the package; "
            "clone the repository and run its bin/mzpipe bench"
        )
    if str(_BENCHMARKS) not in sys.path:
        sys.path.append(str(_BENCHMARKS))
    return import_module("mzbench.command")
