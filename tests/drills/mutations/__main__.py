"""The command: prints a table of what became of all mutations; exit code 1 if one kind is a fault.

    python -m tests.drills.mutations [--count N] [--seed N] [--only N ...] [--json F]

Mutations with an even number are random, those with an odd one forged. Number and seed determine one. It meets the
commands that read its target; slow ones meet every other mutation.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mzpipe.runtime.environment import prepare_environment

prepare_environment()

from .commands import READERS, Command, train_to  # noqa: E402
from .damage import clear, draw  # noqa: E402
from .forged import forgeries  # noqa: E402
from .forks import Limits  # noqa: E402
from .judge import Kind, judge  # noqa: E402
from .mutation import Mutation  # noqa: E402
from .subject import MORE, make_subject, renew, truths  # noqa: E402
from .trial import meet  # noqa: E402

_SHOWN = 400


def main() -> int:
    """Runs the command; returns its exit code."""
    arguments = _arguments()
    numbers = arguments.only or range(arguments.count)
    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="mzpipe-drill-") as name:
        drill = _Drill(Path(name), arguments.seed, Limits())
        for number in numbers:
            found += drill.case(number)
            if arguments.json:
                arguments.json.write_text(json.dumps(found, indent=1) + "\n")
        clear(Path(name) / "work")
    _say(_table(found))
    bad = [case for case in found if Kind(case["kind"]).is_bad]
    _say(f"{len(numbers)} mutations, {len(found)} commands, {len(bad)} faults")
    return 1 if bad else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.drills.mutations", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="mutations (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="of their choice (default: 1)")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="only the mutations of these numbers")
    parser.add_argument("--json", type=Path, metavar="F", help="write every command's outcome here")
    return parser.parse_args()


class _Drill:
    """The sound run, and what every command does with it."""

    def __init__(self, home: Path, seed: int, limits: Limits) -> None:
        self._place, self._kept = make_subject(home, _say)
        self._seed, self._limits = seed, limits
        self._train = train_to(MORE)
        _say("asking the sound run ...")
        self._truths = truths(self._place, self._kept, [*READERS, self._train], limits)
        self._forged = forgeries(self._kept, seed)

    def case(self, number: int) -> Iterator[dict[str, object]]:
        """Lets the commands meet one mutation."""
        renew(self._place, self._kept)
        mutation = self._mutation(number)
        mutation.change(self._place.root / mutation.target)
        for command in (*READERS, self._train):
            if command.meets(number, mutation):
                yield self._outcome(number, mutation, command)

    def _mutation(self, number: int) -> Mutation:
        if number % 2:
            return self._forged[number // 2 % len(self._forged)]
        return draw(random.Random(f"{self._seed}:{number}"), self._place.root)

    def _outcome(self, number: int, mutation: Mutation, command: Command) -> dict[str, object]:
        truth = self._truths[command.name]
        seen = meet(command, self._place, self._limits)
        kind = judge(command, mutation, seen, truth, self._limits)
        if kind.is_bad:
            _say(f"{number}: {mutation.target}: {mutation.name}: {command.name}: {kind.value}")
            _say(_excerpt(seen.done.output + seen.done.errors))
        if seen.changed:
            renew(self._place, self._kept)
            mutation.change(self._place.root / mutation.target)
        return {
            "number": number,
            "target": mutation.target,
            "mutation": mutation.name,
            "command": command.name,
            "kind": kind.value,
            "code": seen.done.code,
            "seconds": round(seen.done.seconds, 2),
            "MiB": seen.done.peak_bytes >> 20,
            "changed": list(seen.changed),
            "said": _excerpt(seen.done.errors or seen.done.output),
        }


def _excerpt(text: str) -> str:
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]} ... {text[-_SHOWN:]}"


def _table(found: list[dict[str, object]]) -> str:
    """A row per command, a column per kind that occurred."""
    kinds = [kind.value for kind in Kind if any(case["kind"] == kind.value for case in found)]
    counts = Counter((case["command"], case["kind"]) for case in found)
    commands = list(dict.fromkeys(case["command"] for case in found))
    rows = [[str(command), *(str(counts[command, kind]) for kind in kinds)] for command in commands]
    rows.append(["all", *(str(sum(counts[command, kind] for command in commands)) for kind in kinds)])
    return "\n".join(f"| {' | '.join(row)} |" for row in [["command", *kinds], ["---"] * (len(kinds) + 1), *rows])


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
