"""Checks the records of producers that are killed in the middle of one, one producer after the other.

Every word of a 1 MiB record holds the same number, made of its producer's and its own. Each producer is killed
(SIGKILL) when it is seen in the middle of a record, or soon after. Its committed records must be whole and in order,
and the next producer continues after them. The control reads the slot after the last committed one as a record: if it
never finds two numbers in it, no kill came in the middle of a record, and the check has shown nothing.
"""

import random
from collections.abc import Callable
from itertools import count

import numpy as np

from mzpipe.ipc.ring import Ring, RingReader, RingWriter

from .memory import Words
from .peer import Peer, linger, spun
from .peers import Peers
from .torn import Seen, verdict

_RING = "killed"
_MAX_RECORDS, _MAX_DELAY_NS = 8, 1_000_000
# With this many, a producer spends most of its time building records, and one takes longer than a time slice.
_PIECES = 4_096
# More records than any producer writes.
_PER_EPOCH = 1 << 32


class Consumer:
    """Reads the committed records of one producer (epoch) after another."""

    def __init__(self, ring: Ring[Words], reader: RingReader[Words] | None = None) -> None:
        self._ring, self._reader = ring, reader or RingReader(ring)
        self.checked, self.control = Seen(), Seen()
        self._expected = 0

    def begin(self, epoch: int) -> None:
        """Prepares for the records of a new producer."""
        self._expected = first_number(epoch)

    def read(self) -> bool | None:
        """Reads one record; None if there is none."""
        slot = self._reader.peek()
        if slot is None:
            return None
        self.checked = self.checked.after(slot.data, self._expected)
        self._expected += 1
        self._reader.release()
        return True

    def drain(self) -> None:
        """Reads all committed records."""
        while self.read():
            pass

    def sees_half(self) -> bool | None:
        """Whether the producer is in the middle of a record, after reading all before it; None if it is not."""
        self.drain()
        words = self._next_slot()
        return True if words[0] == self._expected != words[-1] else None

    def look_behind(self) -> None:
        """The control: reads the slot that the dead producer was writing, or would have written next."""
        self.control = self.control.after(self._next_slot(), self._expected)

    def _next_slot(self) -> np.ndarray:
        return self._ring.slots[self._reader.sequence % self._ring.num_slots].data


def first_number(epoch: int) -> int:
    """The number in the first record of a producer; never 0, the content of a new ring."""
    return epoch * _PER_EPOCH + 1


def check_records(peers: Peers, num_kills: int) -> str:
    """Kills this many producers; raises MzpipeError as `verdict` does."""
    consumer, rng = Consumer(peers.segments.ring(_RING, Words)), random.Random(0)
    for epoch in range(num_kills):
        victim = epoch % peers.num_peers
        peers.tell(victim, write_records, epoch)
        consumer.begin(epoch)
        for _ in range(rng.randint(1, _MAX_RECORDS)):
            spun(consumer.read, peers.look)
        spun(consumer.sees_half, peers.look)
        linger(rng.randrange(_MAX_DELAY_NS))  # lets it continue with its next record
        peers.replace(victim)
        consumer.drain()
        consumer.look_behind()
    return f"{verdict('records', consumer.checked, consumer.control)}; {num_kills} producers killed"


def write_records(peer: Peer, epoch: int) -> None:
    """Runs in the peer: writes records until it is killed."""
    write(RingWriter(peer.segments.ring(_RING, Words), epoch=epoch), epoch, peer.look)


def write(writer: RingWriter[Words], epoch: int, look: Callable[[], object]) -> None:
    """Writes one record after another, each built piece by piece, as an actor builds a trajectory."""
    for number in count(first_number(epoch)):
        slot = writer.claim() or spun(writer.claim, look)
        for piece in slot.data.reshape(_PIECES, -1):
            piece.fill(number)
        writer.commit()
