"""The command: plants each bug, runs its modules of tests, and prints a table; exit code 0 if every bug is noticed.

    python -m tests.planted [NAME ...] [--list]

First the modules run without any bug, which also compiles the kernels once for all. A test that fails then says nothing
about the bugs, and is left out.
"""

import argparse
import re
import sys
import time
from typing import NamedTuple

from .bug import Bug
from .bugs import BUGS
from .copies import Copy, copy

_PYTEST = ("-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-rfE")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)
# Exit codes of pytest.
_PASSED, _TESTS_FAILED = 0, 1


class Result(NamedTuple):
    """What became of one bug: the test that failed, or None."""

    bug: Bug
    noticed_by: str | None


def main() -> int:
    """Runs the command; returns its exit code."""
    arguments = _arguments()
    bugs = [bug for bug in BUGS if not arguments.names or bug.name in arguments.names]
    if unknown := set(arguments.names) - {bug.name for bug in bugs}:
        sys.exit(f"no such bug: {', '.join(sorted(unknown))}; --list shows all")
    if arguments.list:
        _say("\n".join(f"{bug.name}  (mzpipe/{bug.file})\n    {bug.claim}" for bug in bugs))
        return 0
    with copy() as project:
        paths = sorted({path for bug in bugs for path in bug.paths()})
        fails_anyway = _failed(project, f"{len(paths)} modules without a bug", *paths)
        results = [_try(project, bug, fails_anyway) for bug in bugs]
    _say(_table(results))
    return 0 if all(result.noticed_by for result in results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="bugs to plant; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="only list the bugs")
    return parser.parse_args()


def _try(project: Copy, bug: Bug, fails_anyway: list[str]) -> Result:
    left_out = [f"--deselect={test}" for test in fails_anyway]
    with project.planted(bug):
        failed = _failed(project, bug.name, "-x", *left_out, *bug.paths())
    return Result(bug, failed[0] if failed else None)


def _failed(project: Copy, name: str, *words: str) -> list[str]:
    """The tests that fail; says so, and after how many seconds."""
    begun_s = time.monotonic()
    done = project.run(*_PYTEST, *words)
    failed = _FAILED.findall(done.stdout)
    if done.returncode not in (_PASSED, _TESTS_FAILED) or (done.returncode == _TESTS_FAILED) != bool(failed):
        sys.exit(f"{name}: pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    _say(f"{name}: {', '.join(failed) or 'every test passes'} ({time.monotonic() - begun_s:.0f} s)")
    return failed


def _table(results: list[Result]) -> str:
    noticed = sum(result.noticed_by is not None for result in results)
    rows = [f"| {bug.name} | {bug.claim} | {noticed_by or '**none**'} |" for bug, noticed_by in results]
    count = f"{noticed} of {len(results)} bugs are noticed"
    return "\n".join(["", "| bug | claim | noticed by |", "|---|---|---|", *rows, "", count])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
