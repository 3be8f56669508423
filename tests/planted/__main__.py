"""The command: plants each bug, runs its modules of tests, and prints a table; exit code 0 if every bug is noticed.

    python -m tests.planted [NAME ...] [--list]

At the end the tests that noticed a bug run without any. One that fails then has noticed nothing: its bugs are planted
again, and it is left out.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from mzpipe.runtime.environment import child_environment

from .bug import Bug
from .bugs import BUGS
from .copies import Copy, copy, is_pure
from .forks import Outcome, load_libraries

_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
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
    os.environ.update({name: one for name, one in child_environment(1).items() if name.endswith("_NUM_THREADS")})
    load_libraries()
    with copy() as project:
        results, left_out = [_try(project, bug) for bug in bugs], []
        while wrong := _fail_anyway(project, results):
            _say(f"without a bug these fail too: {', '.join(wrong)}")
            left_out += wrong
            results = [_try(project, bug, left_out) if test in wrong else Result(bug, test) for bug, test in results]
    _say(_table(results))
    return 0 if all(result.noticed_by for result in results) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="bugs to plant; all of them if none is named")
    parser.add_argument("--list", action="store_true", help="only list the bugs")
    return parser.parse_args()


def _try(project: Copy, bug: Bug, left_out: Sequence[str] = ()) -> Result:
    begun_s = time.monotonic()
    failed = _failed(bug.name, project.run_planted(bug, "-x", *(f"--deselect={test}" for test in left_out)))
    _say(f"{bug.name}: {failed[0] if failed else 'NOT NOTICED'} ({time.monotonic() - begun_s:.0f} s)")
    return Result(bug, failed[0] if failed else None)


def _fail_anyway(project: Copy, results: list[Result]) -> list[str]:
    """Those of the tests that noticed a bug which fail without any."""
    found = []
    for pure in (True, False):
        tests = sorted({test for bug, test in results if test and is_pure(bug) == pure})
        found += _failed("without a bug", project.run(*tests, interpreted=pure)) if tests else []
    return found


def _failed(what: str, outcome: Outcome) -> list[str]:
    """The tests that failed; ends the command if pytest did not run them."""
    failed = _FAILED.findall(outcome.output)
    if outcome.code not in (_PASSED, _TESTS_FAILED) or (outcome.code == _TESTS_FAILED) != bool(failed):
        sys.exit(f"{what}: pytest ended with {outcome.code}:\n{outcome.output}")
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
