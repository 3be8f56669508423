"""The judges of the drill of pods."""

import pytest

from tests.drills.journal_check import Findings
from tests.drills.ledger import Books
from tests.drills.pods import GATEWAY, HEAD, POD, Figures, rows_of

WAY = "it was killed with {:,} transitions on their way to the replay server: they are lost\n"
RESTORED = "replay-0: restored 90 transitions of 100 inserted so far; 0 lost in a kill\n"
BOOKS = [Books(1_000, 900, ""), Books(2_000, 1_900, WAY.format(100) + RESTORED)]
WHOLE = Findings(1_900, 0, 0)


def verdicts(books=BOOKS, findings=WHOLE, **gone):
    figures = Figures()
    figures.follow(POD, 9.0)
    figures.follow(GATEWAY, gone.get("gateway", 2.0))
    figures.follow(HEAD, 5.0)
    figures.gone_s.append(gone.get("head", 5.0))
    return [row.what for row in rows_of(figures, books, findings) if not row.is_held]


def test_all_is_well_when_every_promise_is_held():
    assert verdicts() == []


@pytest.mark.parametrize(
    ("measured", "bad"),
    [
        ({"gateway": None}, ["gateway: all is well again", "anything else"]),
        ({"head": 10.5}, ["head: kill to the end of its pods"]),
        ({"books": [BOOKS[0], BOOKS[1]._replace(output=RESTORED)]}, ["lost, and told by the next session"]),
        ({"findings": Findings(1_900, 1, 0)}, ["torn, and stored twice"]),
        ({"findings": Findings(1_900, 0, 1)}, ["torn, and stored twice"]),
    ],
)
def test_each_promise_that_is_not_held_is_named(measured, bad):
    assert verdicts(**measured) == bad
