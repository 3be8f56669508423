"""Checks for torn reads of weights: reads a version again and again while a peer overwrites its buffer.

Every element of a version is its number, so a copy with two numbers in it is torn. The check reads the version two
before the latest, whose buffer is the next to be overwritten. The control copies the same buffer without checking that
it still holds that version; if it sees no torn copy, the check has shown nothing.
"""

import random
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from mzpipe.errors import MzpipeError
from mzpipe.ipc.weights import NUM_WEIGHTS_BUFFERS, WeightsPublisher, WeightsSubscriber

from .memory import TORN_WEIGHTS_BYTES
from .peer import Peer, linger, spun
from .peers import Peers

Segment = dict[str, np.ndarray]
# Returns a copy of an old version, or None if the reader refuses to copy it.
Read = Callable[[int], np.ndarray | None]

_SEGMENT = "torn_weights"
_MAX_REST_NS = 500_000
_BEHIND = NUM_WEIGHTS_BUFFERS - 1
# Two processes on one core seldom meet in the middle of a copy.
_TRIES = 20


class Seen(NamedTuple):
    """The results of many reads."""

    whole: int = 0
    torn: int = 0
    # Whole, but another version than was asked for.
    other: int = 0
    refused: int = 0

    def after(self, copy: np.ndarray | None, expected: int) -> "Seen":
        """The results with one more read, in which every element should be `expected`."""
        if copy is None:
            return self._replace(refused=self.refused + 1)
        if copy.min() != copy.max():
            return self._replace(torn=self.torn + 1)
        if copy[0] != expected:
            return self._replace(other=self.other + 1)
        return self._replace(whole=self.whole + 1)

    def with_all_of(self, other: "Seen") -> "Seen":
        """The results of both."""
        return Seen(*(mine + its for mine, its in zip(self, other, strict=True)))


def verdict(what: str, checked: Seen, control: Seen) -> str:
    """A note for people; raises MzpipeError if a read was torn, or if the control saw no torn read either."""
    if checked.torn or checked.other:
        raise MzpipeError(
            f"{what}: {checked.torn} of {sum(checked)} reads torn, {checked.other} of another than asked for"
        )
    if not checked.whole:
        raise MzpipeError(f"{what}: none of {sum(checked)} reads gave anything: nothing was checked")
    if not control.torn:
        raise MzpipeError(f"{what}: {sum(control)} reads without checks saw nothing torn either: nothing was checked")
    refused = f" ({checked.refused:,} more refused)" if checked.refused else ""
    return (
        f"ipc/torn/{what}: 0 of {checked.whole:,} reads torn{refused}; "
        f"control, without checks: {control.torn:,} of {sum(control):,}"
    )


def check_weights(peers: Peers, num_reads: int) -> str:
    """Reads versions that a peer overwrites; repeats if the control saw nothing torn; raises as `verdict` does."""
    segment = peers.segments.arrays(_SEGMENT)
    subscriber = WeightsSubscriber(segment)
    reads = [pulled(subscriber), unchecked(segment)]
    checked = control = Seen()
    peers.tell(0, overwrite_weights)
    for _ in range(_TRIES):
        more_checked, more_control = watch(subscriber, reads, num_reads, peers.look)
        checked, control = checked.with_all_of(more_checked), control.with_all_of(more_control)
        if checked.whole and control.torn:
            break
    peers.replace(0)
    return verdict("weights", checked, control)


def watch(
    subscriber: WeightsSubscriber, reads: Iterable[Read], num_reads: int, look: Callable[[], object]
) -> list[Seen]:
    """The results of each way to read; they take turns, after a wait for the first versions."""
    spun(lambda: subscriber.latest() > _BEHIND or None, look)
    seen = {read: Seen() for read in reads}
    for _ in range(num_reads):
        for read in seen:
            version = subscriber.latest() - _BEHIND
            seen[read] = seen[read].after(read(version), version)
        look()
    return list(seen.values())


def pulled(subscriber: WeightsSubscriber) -> Read:
    """A read as every role does it."""

    def read(version: int) -> np.ndarray | None:
        found = subscriber.pull(version)
        return None if found is None else found.weights

    return read


def unchecked(segment: Segment) -> Read:
    """The control: a copy of the buffer's content, which may be changing."""
    return lambda version: segment["buffer"][version % NUM_WEIGHTS_BUFFERS].copy().view(np.float32)


def overwrite_weights(peer: Peer, _: int) -> None:
    """Runs in the peer: publishes versions until it is killed, with rests up to the length of a read."""
    rng = random.Random(0)
    publisher = WeightsPublisher(peer.segments.arrays(_SEGMENT))
    weights = np.empty(TORN_WEIGHTS_BYTES // 4, np.float32)
    while True:
        weights.fill(publisher.version + 1)
        publisher.publish(weights, learner_steps=0, env_steps=0)
        linger(rng.randrange(_MAX_REST_NS))  # without a rest no read would finish before the next version
