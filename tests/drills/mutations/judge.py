"""What a command made of a mutation, compared with what it makes of the sound run."""

import re
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from mzpipe.errors import ExitCode

from .commands import Command
from .forks import Done, Limits
from .mutation import Mutation


class Kind(Enum):
    """The first part is fine; what follows TRACEBACK is a fault."""

    UNAFFECTED = "unaffected"
    LINE = "one clean line"
    NOTE = "recovered with a note"
    OTHER = "another whole checkpoint, named"
    AS_WRITTEN = "as the file says"
    TRACEBACK = "traceback"
    HANG = "hang"
    MEMORY = "memory over the limit"
    SCRATCH = "silently from scratch"
    WRONG = "silently wrong"
    CHANGED = "directory changed by a refused command"
    CODE = "wrong exit code"
    UNTIDY = "not one clean line"

    @property
    def is_bad(self) -> bool:
        """Whether it is a fault."""
        return list(Kind).index(self) >= list(Kind).index(Kind.TRACEBACK)


class Seen(NamedTuple):
    """What a command did, what it answered, and which entries of the run are not as they were before it."""

    done: Done
    answer: object = None
    changed: Sequence[str] = ()


class Truth(NamedTuple):
    """What a command does with the sound run; and its answers with each checkpoint, by the checkpoint's name."""

    seen: Seen
    others: dict[str, object]


_REFUSALS = (ExitCode.USAGE, ExitCode.INPUT_OUTPUT, ExitCode.DEVICE)
_RESUMED = re.compile(r"resuming at env step [\d,]+, learner step ([\d,]+)")
_TRACE = "Traceback (most recent call last)"


def judge(command: Command, mutation: Mutation, seen: Seen, truth: Truth, limits: Limits) -> Kind:
    """The one kind that fits."""
    done = seen.done
    if done.code is None:
        return Kind.HANG
    if done.peak_bytes > limits.bytes or "MemoryError" in done.errors:
        return Kind.MEMORY
    if _TRACE in done.output + done.errors or done.code < 0:
        return Kind.TRACEBACK
    if any(not each.isprintable() and each not in "\n\t" for each in done.output + done.errors):
        return Kind.UNTIDY
    if done.code != truth.seen.done.code or done.code:
        return _refused(command, seen, truth)
    return _answered(command, mutation, seen, truth)


def _refused(command: Command, seen: Seen, truth: Truth) -> Kind:
    done = seen.done
    if done.code not in _REFUSALS and not (done.code == ExitCode.INTERNAL and "not finite" in done.errors):
        return Kind.CODE
    if seen.changed:
        return Kind.CHANGED
    lines = done.errors.splitlines()
    if len(lines) != 1 or not lines[0].startswith(f"mzpipe {command.verb}: "):
        return Kind.UNTIDY
    return Kind.UNAFFECTED if seen.done.errors == truth.seen.done.errors else Kind.LINE


def _answered(command: Command, mutation: Mutation, seen: Seen, truth: Truth) -> Kind:
    text = seen.done.output + seen.done.errors
    if command.changes:
        resumed = _RESUMED.search(text)
        if resumed is None or int(resumed[1].replace(",", "")) == 0:
            return Kind.SCRATCH
    elif seen.changed:
        return Kind.CHANGED
    has_note = any(name in line for line in _new_lines(seen, truth) for name in mutation.names)
    if seen.answer == truth.seen.answer:
        return Kind.NOTE if has_note else Kind.UNAFFECTED
    if any(seen.answer == answer and name in text for name, answer in truth.others.items()):
        return Kind.OTHER
    if has_note:
        return Kind.NOTE
    is_copied = command.verb == "export" and mutation.is_forged_record  # it takes out what a journal holds
    return Kind.AS_WRITTEN if mutation.is_unchecked or is_copied else Kind.WRONG


def _new_lines(seen: Seen, truth: Truth) -> list[str]:
    """Lines that the sound run does not lead to, whatever their numbers are."""
    known = {_without_numbers(line) for line in _lines(truth.seen)}
    return [line for line in _lines(seen) if _without_numbers(line) not in known]


def _lines(seen: Seen) -> list[str]:
    return (seen.done.output + seen.done.errors).splitlines()


def _without_numbers(line: str) -> str:
    return re.sub(r"[\d.,]+", "0", line)
