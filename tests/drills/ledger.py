"""What a run has lost, and what it says that it has lost.

Lost is what was played and is not in the journal: both are counted from outside. A session tells of its own replay
server's kills, and the next one of what the session's end took.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from tests.drills.report import Row

_RESTORED = re.compile(r"replay-0: restored .*; ([\d,]+) lost in a kill")
_ON_THEIR_WAY = re.compile(r"it (?:was killed|ended) with ([\d,]+) transitions on their way to the replay server")


class Books(NamedTuple):
    """One session at its end: moves of all sessions so far, transitions in the journal, and what it has said."""

    played: int
    stored: int
    output: str


class Balance(NamedTuple):
    """What sessions lost, and what they and the next one have said about it."""

    lost: int
    told: int


def balances(books: Sequence[Books]) -> list[Balance]:
    """The balance of every session that another one followed, which has told what the end of the first one took.

    A session that ends before it has restored the journal tells nothing: it shares the balance of the one before.
    """
    found, lost, told, former = [], 0, 0, Books(0, 0, "")
    for number, (session, following) in enumerate(pairwise(books)):
        lost += (session.played - session.stored) - (former.played - former.stored)
        told += _told_while_live(session, is_first=number == 0) + _on_their_way(following)
        former = session
        if restored := restored_losses(following.output):
            found.append(Balance(lost, told + restored[0]))
            lost = told = 0
    return found


def balance_row(books: Sequence[Books]) -> Row:
    """The promise that every loss is told."""
    balance = balances(books)
    wrong = [tuple(each) for each in balance if each.lost != each.told]
    lost, told = (sum(column) for column in zip(*balance, strict=True)) if balance else (0, 0)
    played = books[-1].played if books else 0
    measured = f"{lost:,}, {told:,} of {played:,} played; wrong {len(wrong)} of {len(balance)} {wrong or ''}"
    return Row("R5", "lost, and told by the next session", measured.rstrip(), "equal each time", not wrong)


def restored_losses(output: str) -> list[int]:
    """The losses that a session has named so far at each restore; the first are those of the session before."""
    return [_number(found) for found in _RESTORED.findall(output)]


def losses_of_kills(books: Sequence[Books]) -> list[int]:
    """What each kill of a replay server took, as the runs tell it.

    The first restore of a session that resumes tells of the session before.
    """
    found = []
    for number, session in enumerate(books):
        losses = [*([] if number else [0]), *restored_losses(session.output)]
        found += [after - before for before, after in pairwise(losses)]
    return found


def losses_of_epochs(
    played: Mapping[tuple[int, int], int], stored: Counter[tuple[int, int]]
) -> dict[tuple[int, int], int]:
    """Moves of each (actor, epoch) that are not stored; negative for transitions that no actor has played."""
    return {epoch: played.get(epoch, 0) - stored[epoch] for epoch in {*played, *stored}}


def _told_while_live(session: Books, *, is_first: bool) -> int:
    """What a session has said of its own losses: a session that resumes begins with those of the one before."""
    losses = restored_losses(session.output)
    if not losses:
        return 0
    return losses[-1] - (0 if is_first else losses[0])


def _on_their_way(session: Books) -> int:
    found = _ON_THEIR_WAY.search(session.output)
    return _number(found[1]) if found else 0


def _number(text: str) -> int:
    return int(text.replace(",", ""))
