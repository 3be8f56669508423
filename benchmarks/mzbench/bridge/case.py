"""The case `bridge`: what a gateway takes from an uplink in another process, against the transport alone.

The transport carries frames of the size that the bridge's have, packed or as the records are, and does nothing else: it
has no ring, no packing and no credit.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from mzpipe.cluster.protocol import CHUNK_BYTES
from mzpipe.cluster.transfer import num_chunks
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.weights import WeightsSubscriber

from ..children import Children, meeting_place
from ..registry import ShapeProgress
from ..report import CaseResult, Comparison, Measured
from ..timing import Contestant, turn_about
from .ends import LENGTH, WEIGHTS_BYTES, HeadEnd, new_runtime, run_id
from .transport import Receiver

_PROGRAM = "mzbench.bridge.peer"
_ROUNDS, _QUICK_ROUNDS = 7, 3
_RECORDS = 64
_NAMES = {True: "ZeroMQ with CURVE", False: "ZeroMQ without CURVE"}


def measure(*, quick: bool, progress: ShapeProgress) -> CaseResult:
    """Times trajectories and weights in turns with the transport; quick: fewer rounds."""
    rounds = _QUICK_ROUNDS if quick else _ROUNDS
    progress(0, 3, "starting processes")
    with meeting_place() as (_, runtime), _children(runtime) as children:
        bench = _Bench(runtime, children)
        progress(1, 3, "trajectories")
        rows = bench.compare_trajectories(rounds)
        progress(2, 3, "weights")
        rows += bench.compare_weights(rounds)
        return CaseResult(rows, bench.notes, [])


@contextmanager
def _children(runtime: Path) -> Iterator[Children]:
    children = Children("the gateway", _PROGRAM, runtime / "children.log")
    try:
        yield children
    finally:
        children.stop(patience_s=0.0)


class _Bench:
    def __init__(self, runtime: Path, children: Children) -> None:
        self._runtime, self._children = runtime, children
        self._home = runtime / "head"
        (self._home / "logs").mkdir(parents=True)
        (runtime / "pods").mkdir()
        self._head = HeadEnd(self._home, new_runtime(self._home))
        pod = self._play()
        self._pod = psutil.Process(pod)
        self._head.take(_RECORDS)  # joined
        self._pod_weights = self._find_pod_weights()
        self.notes: list[str] = []

    def compare_trajectories(self, rounds: int) -> list[Comparison]:
        """Transitions a second, against frames of the size of a packed record."""
        nbytes = self._packed_bytes()
        whole = self._head.packed_from
        with self._transports(nbytes) as packed, self._transports(whole) as unpacked:
            calls = {f"{_NAMES[curve]}, packed": self._take(each, _RECORDS) for curve, each in packed.items()}
            calls |= {f"{_NAMES[curve]}, as they are": self._take(each, _RECORDS) for curve, each in unpacked.items()}
            found = self._compare(
                "bridge/trajectories", lambda: self._head.take(_RECORDS), calls, rounds, _RECORDS * LENGTH
            )
        self.notes.append(f"a record of {LENGTH} transitions of Pong's size has {whole:,} bytes, packed {nbytes:,}")
        self.notes.append(self._processor_time())
        return found

    def compare_weights(self, rounds: int) -> list[Comparison]:
        """Megabytes a second of versions of 33 MB, against as many bytes in frames of a chunk's size."""
        with self._transports(CHUNK_BYTES) as transports:
            chunks = num_chunks(WEIGHTS_BYTES)
            calls = {_NAMES[curve]: self._take(each, chunks) for curve, each in transports.items()}
            return self._compare("bridge/weights", self._hand_over, calls, rounds, WEIGHTS_BYTES / 1e6, "MB/s")

    def _hand_over(self) -> None:
        self._head.hand_over_weights(self._pod_weights)

    def _compare(
        self,
        case: str,
        ours: Callable[[], object],
        references: dict[str, Callable[[], object]],
        rounds: int,
        amount: float,
        unit: str = "transitions/s",
    ) -> list[Comparison]:
        contestants = [Contestant("bridge", ours), *(Contestant(name, call) for name, call in references.items())]
        timings = turn_about(contestants, rounds=rounds).timings
        measured = {name: Measured(name, amount / timing.seconds, timing.spread) for name, timing in timings.items()}
        return [Comparison(case, unit, measured["bridge"], measured[name]) for name in references if name in measured]

    def _processor_time(self) -> str:
        """Processor time of both ends for a transition, over a second."""
        records, mine, its = 0, time.process_time(), sum(self._pod.cpu_times()[:2])
        end_s = time.monotonic() + 1.0
        while time.monotonic() < end_s:
            self._head.take(_RECORDS)
            records += _RECORDS
        transitions = records * LENGTH
        gateway, uplink = time.process_time() - mine, sum(self._pod.cpu_times()[:2]) - its
        return (
            f"processor time for a transition: gateway {gateway / transitions * 1e6:.2f} us, "
            f"uplink {uplink / transitions * 1e6:.2f} us, encryption included"
        )

    def _packed_bytes(self) -> int:
        counters = self._head.gateway._counters
        before = counters.get("link_bytes_in"), counters.get("pod_transitions")
        self._head.take(_RECORDS)
        nbytes, transitions = (
            counters.get(name) - was for name, was in zip(("link_bytes_in", "pod_transitions"), before, strict=True)
        )
        return round(nbytes / (transitions / LENGTH))

    def _take(self, receiver: Receiver, messages: int) -> Callable[[], object]:
        return lambda: receiver.take(messages)

    @contextmanager
    def _transports(self, nbytes: int) -> Iterator[dict[bool, Receiver]]:
        """Senders with and without CURVE; each waits while nobody receives."""
        with ExitStack() as stack:
            receivers = {}
            for curve in (True, False):
                receiver = receivers[curve] = Receiver(curve=curve)
                name = f"{nbytes} {curve}"
                words = ["send", str(receiver.port), receiver.public or "-", str(nbytes), str(os.getpid())]
                self._children.start(name, words)
                stack.callback(receiver.close)
                stack.callback(self._children.kill, name)
            yield receivers

    def _play(self) -> int:
        address = (self._head.plane.directory / "address").read_text()
        words = [
            "play",
            str(self._home),
            str(self._runtime / "pods"),
            address,
            run_id(self._head.plane),
            str(os.getpid()),
        ]
        return self._children.start("pod", words).pid

    def _find_pod_weights(self) -> WeightsSubscriber:
        (runtime,) = (self._runtime / "pods").glob("mzpipe-bench-*")
        return WeightsSubscriber(DataPlane.attach(runtime).weights())
