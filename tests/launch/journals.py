"""Journals as runs leave them."""

from mzpipe.replay.journal import Journal, JournalLayout
from tests.replay.journal.samples import make_record

CART_POLE = JournalLayout((4,), "float32", 2)


def make_journal(directory, layout=CART_POLE, records=40):
    """A journal, in several segments if it has many records."""
    journal = Journal(directory, layout, segment_bytes=2000)
    for serial in range(records):
        journal.append(serial, make_record(serial, layout), actor=0, epoch=0)
    assert journal.close(60.0)
