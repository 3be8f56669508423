"""Weights over a link: the newest version, in chunks that the pod asks for, checked before it is published.

Both ends take the digest chunk by chunk, while others are under way, and the pod writes each into its weights segment:
once the last one is there, nothing is left but to publish.

A transfer that has begun goes on to its end, whatever is published meanwhile, and the next one begins with the newest
version then: on a link that takes longer for a version than the learner, a pod still gets one after the other.
"""

import numpy as np
from crc32c import crc32c

from ..errors import MessageError, NotFiniteError
from ..ipc.copying import copy_floats
from ..ipc.weights import WeightsPublisher, WeightsSubscriber
from .protocol import CHUNK_BYTES, WINDOW, Chunk

_FLOAT_BYTES = 4


class Snapshot:
    """A copy of one version, shared by all transfers that began with it."""

    def __init__(self, version: int, learner_steps: int, env_steps: int, data: memoryview) -> None:
        self.version, self.num_chunks = version, num_chunks(len(data))
        self._steps, self._data = (learner_steps, env_steps), data
        self._digests: list[int] = []

    def chunk(self, number: int) -> tuple[Chunk, memoryview]:
        """One chunk's message and bytes."""
        while len(self._digests) <= number:
            before = self._digests[-1] if self._digests else 0
            self._digests.append(crc32c(self._bytes(len(self._digests)), before))
        return Chunk(number, self.version, *self._steps, self._digests[number]), self._bytes(number)

    def _bytes(self, number: int) -> memoryview:
        return self._data[number * CHUNK_BYTES :][:CHUNK_BYTES]


class WeightsSource:
    """The run's end: copies a version once, however many pods take it."""

    def __init__(self, subscriber: WeightsSubscriber) -> None:
        self._subscriber = subscriber
        self._newest: Snapshot | None = None

    def latest(self) -> int:
        """The newest published version; 0 before the first."""
        return self._subscriber.latest()

    def newest(self) -> Snapshot | None:
        """The newest version; None before the first."""
        if self._newest is None or self._newest.version != self.latest():
            pulled = self._subscriber.pull()
            if pulled is not None:
                self._newest = Snapshot(*pulled[:3], pulled.weights.data.cast("B"))
        return self._newest


class Assembly:
    """The pod's end of a transfer; chunks arrive in the order in which they were asked for."""

    def __init__(self, publisher: WeightsPublisher, nbytes: int) -> None:
        self._publisher, self._nbytes, self._num_chunks = publisher, nbytes, num_chunks(nbytes)
        self.drop()

    def drop(self) -> None:
        """Forgets the transfer under way."""
        self._asked = self._taken = self._digest = 0
        self._first: Chunk | None = None
        self.is_under_way = False

    def begin(self) -> None:
        """Begins a transfer of whatever is newest."""
        self.drop()
        self._buffer = self._publisher.begin()
        self.is_under_way = True

    def wanted(self) -> range:
        """Chunks to ask for now, in this order."""
        last = min(self._taken + WINDOW, self._num_chunks) if self.is_under_way else 0
        return range(self._asked, last)

    def asked(self, chunk: int) -> None:
        """Says that a chunk was asked for."""
        self._asked = chunk + 1

    def take(self, chunk: Chunk, payload: memoryview) -> bool:
        """Takes a chunk in; with the last one publishes the version and returns True.

        Raises MessageError if it is not the next one or not what its digest says, NotFiniteError.
        """
        if chunk.chunk == 0:
            self._first = chunk
        first = self._first
        if not self.is_under_way or first is None or chunk.chunk != self._taken or chunk.version != first.version:
            raise MessageError(f"chunk {chunk.chunk} of weights version {chunk.version} was not asked for")
        begin = chunk.chunk * CHUNK_BYTES
        expected = min(CHUNK_BYTES, self._nbytes - begin)
        if len(payload) != expected:
            raise MessageError(f"chunk {chunk.chunk} has {len(payload)} bytes, expected {expected}")
        self._digest = crc32c(payload, self._digest)
        if self._digest != chunk.digest:
            raise MessageError(f"weights version {chunk.version} does not have the digest that came with it")
        floats = np.frombuffer(payload, np.float32)
        if not copy_floats(floats, self._buffer[begin // _FLOAT_BYTES :][: len(floats)]):
            raise NotFiniteError("weights are not finite")
        self._taken += 1
        if self._taken < self._num_chunks:
            return False
        self.drop()
        return self._publish(chunk)

    def _publish(self, chunk: Chunk) -> bool:
        """Publishes a version that is newer than the pod's."""
        if chunk.version <= self._publisher.version:
            return False
        self._publisher.commit(learner_steps=chunk.learner_steps, env_steps=chunk.env_steps, version=chunk.version)
        return True


def num_chunks(nbytes: int) -> int:
    """Chunks of so many bytes."""
    return -(-nbytes // CHUNK_BYTES)
