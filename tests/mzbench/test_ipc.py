"""The case `ipc`: what it measures, and that its checks for torn reads can fail."""

import os
import signal
from contextlib import contextmanager
from functools import partial

import numpy as np
import psutil
import pytest
import zmq
from mzbench import timing
from mzbench.ipc import case as ipc
from mzbench.ipc import doorbell as ipc_doorbell
from mzbench.ipc.case import measure, parts
from mzbench.ipc.kernels import send_kernel, take_kernel
from mzbench.ipc.killed import Consumer, check_records, first_number
from mzbench.ipc.memory import SPECS, Words
from mzbench.ipc.peer import spun
from mzbench.ipc.peers import started_peers
from mzbench.ipc.pingpong import answer_pings, ping_kernel, play, pong_kernel
from mzbench.ipc.sockets import Sockets, patiently
from mzbench.ipc.torn import Seen, check_weights, pulled, unchecked, verdict, watch

from mzpipe.errors import MzpipeError
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.segments import Segments
from mzpipe.ipc.weights import WeightsPublisher, WeightsSubscriber

CACHE_HOME = os.environ.get("XDG_CACHE_HOME")
GOOD = Seen(whole=3)
# The small ones of the segments that a run of the case has.
NEEDED = ("ball", "killed", "torn_weights")


@pytest.fixture
def segments(shm_path):
    """Some of the case's segments, without its processes."""
    segments = Segments(shm_path, {name: SPECS[name] for name in NEEDED})
    segments.create()
    return segments


@pytest.fixture
def warm(monkeypatch):
    """The kernel cache of the other tests, so that processes need not compile."""
    if CACHE_HOME is None:
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", CACHE_HOME)


class Unchecked(RingReader):
    """The planted bug: takes the next slot for a record, whatever its commit word says."""

    def peek(self, ahead=0):
        return self._ring.slots[self.sequence % self._ring.num_slots]


def put(writer, number):
    writer.claim().data.fill(number)
    writer.commit()


def put_half(writer, number):
    """Builds half a record, as a producer does that is killed in the middle."""
    words = writer.claim().data
    words[: len(words) // 2] = number


@pytest.mark.parametrize(
    ("copy", "seen"),
    [
        (np.full(4, 7), Seen(whole=1)),
        (np.array([7, 7, 7, 4]), Seen(torn=1)),
        (np.full(4, 4), Seen(other=1)),
        (None, Seen(refused=1)),
    ],
)
def test_read_is_whole_torn_of_another_or_refused(copy, seen):
    assert Seen().after(copy, expected=7) == seen


@pytest.mark.parametrize(
    ("checked", "control", "message"),
    [
        (Seen(whole=9, torn=1), Seen(torn=1), "it: 1 of 10 reads torn, 0 of another than asked for"),
        (Seen(whole=9, other=1), Seen(torn=1), "it: 0 of 10 reads torn, 1 of another than asked for"),
        (Seen(refused=9), Seen(torn=1), "it: none of 9 reads gave anything: nothing was checked"),
        (GOOD, Seen(whole=9, other=1), "it: 10 reads without checks saw nothing torn either: nothing was checked"),
    ],
)
def test_verdict_refuses_torn_reads_and_a_control_that_sees_none(checked, control, message):
    with pytest.raises(MzpipeError, match=message):
        verdict("it", checked, control)


def test_verdict_says_what_both_have_seen():
    assert (
        verdict("it", GOOD, Seen(whole=1, torn=2)) == "ipc/torn/it: 0 of 3 reads torn; control, without checks: 2 of 3"
    )
    assert "(5 more refused)" in verdict("it", Seen(whole=3, refused=5), Seen(torn=2))


@pytest.fixture
def overwritten(segments):
    """A weights segment whose publisher is in the middle of a version, and its subscriber."""
    segment = segments.arrays("torn_weights")
    publisher = WeightsPublisher(segment)
    for number in range(1, 5):
        publisher.publish(np.full(segment["buffer"].shape[1] // 4, number, np.float32), learner_steps=0, env_steps=0)
    oldest = segment["buffer"][2].view(np.float32)
    segment["stamp"][2] = -1
    oldest[: len(oldest) // 2] = 5
    return segment, WeightsSubscriber(segment)


def test_subscriber_refuses_a_version_that_is_being_overwritten_and_the_control_sees_it_torn(overwritten):
    segment, subscriber = overwritten
    checked, control = watch(subscriber, [pulled(subscriber), unchecked(segment)], 3, lambda: None)
    assert (checked, control) == (Seen(refused=3), Seen(torn=3))


def test_check_fails_when_the_subscriber_does_not_check(overwritten):
    segment, subscriber = overwritten
    checked, control = watch(subscriber, [unchecked(segment), unchecked(segment)], 3, lambda: None)
    with pytest.raises(MzpipeError, match="weights: 3 of 3 reads torn"):
        verdict("weights", checked, control)


def test_watch_awaits_the_first_versions(segments):
    def look():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        watch(WeightsSubscriber(segments.arrays("torn_weights")), [], 1, look)


def test_consumer_finds_committed_records_whole_and_the_control_the_half_one_torn(segments):
    ring = segments.ring("killed", Words)
    consumer = Consumer(ring)
    for epoch in range(3):  # the second half record lies over whole ones of a former lap
        writer, first = RingWriter(ring, epoch=epoch), first_number(epoch)
        consumer.begin(epoch)
        for number in range(3):
            put(writer, first + number)
        put_half(writer, first + 3)
        consumer.drain()
        consumer.look_behind()
    assert (consumer.checked, consumer.control) == (Seen(whole=9), Seen(torn=3))


def test_check_fails_when_the_reader_does_not_look_at_the_commit_word(segments):
    ring = segments.ring("killed", Words)
    writer, consumer = RingWriter(ring), Consumer(ring, Unchecked(ring))
    consumer.begin(0)
    put(writer, first_number(0))
    put_half(writer, first_number(0) + 1)
    assert consumer.read() and consumer.read()
    with pytest.raises(MzpipeError, match="records: 1 of 2 reads torn"):
        verdict("records", consumer.checked, Seen(torn=1))


def test_consumer_tells_a_lost_record_and_one_of_a_former_producer(segments):
    ring = segments.ring("killed", Words)
    writer, consumer = RingWriter(ring), Consumer(ring)
    consumer.begin(1)
    for number in (first_number(1), first_number(1) + 2, first_number(0)):
        put(writer, number)
    consumer.drain()
    assert consumer.checked == Seen(whole=1, other=2)


def test_kernels_of_the_ping_pong_give_up_without_an_answer_and_resume_where_they_were(segments):
    words = segments.arrays("ball")["words"]
    assert ping_kernel(words, 3) == 0
    assert pong_kernel(words, 3) == 1
    assert ping_kernel(words, 3) == 1
    assert pong_kernel(words, 2) == 2
    assert ping_kernel(words, 2) == 2


def test_kernels_of_the_ring_give_up_and_resume_where_they_were_and_take_no_record_of_another_number(segments):
    ring = segments.ring("killed", Words)
    send = partial(send_kernel, np.array(ring.addresses), ring.head, ring.tail, ring.layout.nbytes)
    take = partial(take_kernel, np.array(ring.addresses), ring.tail)
    assert send(0, 2) == 2 and take(0, 3) == 2
    assert send(2, 9) == 2 + ring.num_slots  # full
    assert RingReader(ring).peek() is not None  # the ends in Python find what the kernels left
    ring.payloads[3 % ring.num_slots][0] ^= 1
    assert take(2, 9) == 3


def test_spun_looks_around_while_there_is_nothing():
    looks = []
    assert spun(lambda: "something" if looks else None, lambda: looks.append(1)) == "something"


def test_patiently_looks_around_when_no_message_comes(tmp_path):
    sockets, looks = Sockets(tmp_path), []
    bound = sockets.bound("it", zmq.PAIR)

    def look():
        if not looks:
            sockets.connected("it", zmq.PAIR).send(b"late")
        looks.append(1)

    try:
        assert patiently(bound.recv, look) == b"late"
    finally:
        sockets.close()
    assert looks


def test_parts_are_the_same_in_a_hurry_and_the_kills_come_last():
    assert list(parts(quick=True)) == list(parts(quick=False))
    assert list(parts(quick=True))[-1] == "killed producers"


@contextmanager
def peers_that_leave_nothing(num_peers, cores=None):
    """Starts peers; afterwards, however the test ended, they and what they shared must be gone."""
    try:
        with started_peers(cores or sorted(os.sched_getaffinity(0)), num_peers) as peers:
            pids = [peers.pid(peer) for peer in range(num_peers)]
            assert all(map(psutil.pid_exists, pids))
            yield peers
    finally:
        assert not peers.runtime.exists()
        assert not any(map(psutil.pid_exists, pids))


@pytest.mark.slow
def test_checks_see_nothing_torn_between_processes_and_their_controls_do(warm):
    with peers_that_leave_nothing(2) as peers:
        assert "ipc/torn/weights: 0 of" in check_weights(peers, 200)
        assert check_records(peers, 6).endswith("6 producers killed")


@pytest.mark.slow
def test_peers_answer_what_they_were_told_one_after_the_other_and_again_once_replaced(warm):
    with peers_that_leave_nothing(2) as peers:
        for peer in (0, 1):
            peers.tell(peer, ipc_doorbell.wait_idle, 1)
        assert [0.0 <= share <= 2.0 for share in peers.finish(1, 0)] == [True, True]
        peers.tell(0, ipc_doorbell.answer_idle, 1)  # never rung
        peers.replace(0)
        peers.tell(0, answer_pings, 0)
        assert peers.finish(0) == [None]


@pytest.mark.slow
def test_dead_peer_ends_the_measurement_and_leaves_nothing(warm):
    def measured_until_death():
        with peers_that_leave_nothing(2) as peers:
            os.kill(peers.pid(0), signal.SIGKILL)
            play(peers, 1_000)

    with pytest.raises(MzpipeError, match=r"next to the caller \(peer-0, peer-1\) has ended: no message"):
        measured_until_death()


@pytest.mark.slow
def test_failing_peer_ends_the_measurement_with_its_reason(warm):
    def told_nonsense():
        with peers_that_leave_nothing(1) as peers:
            peers.tell(0, answer_pings, "nonsense")
            peers.finish(0)

    with pytest.raises(MzpipeError, match=r"has ended: ValueError: .*'nonsense'"):
        told_nonsense()


@pytest.mark.slow
def test_interrupt_leaves_no_process_and_no_segment(warm):
    def interrupted():
        with peers_that_leave_nothing(1) as peers:
            peers.tell(0, answer_pings, 10)
            os.kill(os.getpid(), signal.SIGINT)
            peers.finish(0)

    with pytest.raises(KeyboardInterrupt):
        interrupted()


@pytest.mark.slow
def test_measure_has_every_row_and_leaves_nothing(warm, monkeypatch):
    for name, way in ipc_doorbell._WAYS.items():
        monkeypatch.setitem(ipc_doorbell._WAYS, name, way._replace(num_trips=200))
    for module, name, value in (
        (timing, "ROUND_S", 0.0),
        (ipc, "_QUICK_ROUNDS", 1),
        (ipc, "_QUICK_READS", 200),
        (ipc, "_QUICK_KILLS", 8),
        (ipc, "_QUICK_IDLE_S", 0.1),
    ):
        monkeypatch.setattr(module, name, value)
    affinity, seen = os.sched_getaffinity(0), []
    monkeypatch.setattr(ipc, "started_peers", lambda cores: peers_that_leave_nothing(8, cores))
    result = measure(quick=True, progress=lambda *words: seen.append(words))
    assert [what for _, _, what in seen] == ["starting processes", *parts(quick=True)]
    rows = [(row.case.removeprefix("ipc/"), row.reference.name) for row in result.comparisons]
    assert rows == [
        ("ring/cycle", "cache-line ping-pong"),
        ("ring/cycle", "zmq send and recv"),
        ("ring/round-trip", "cache-line ping-pong"),
        ("ring/round-trip", "zmq there and back"),
        ("ring/round-trip", "zmq + msgpack there and back"),
        ("ring/stream", "cache-line ping-pong"),
        ("ring/stream", "zmq one way"),
        ("ring/kernels", "cache-line ping-pong"),
        ("ring/1MiB", "memcpy"),
        ("ring/1MiB", "zmq"),
        *[(f"doorbell/{n}", name) for n in (1, 2, 4) for name in ("futex at once", "zmq doorbell")],
        *[(f"gather/{n}", "zmq + msgpack") for n in (1, 2, 4)],
        ("weights/40MB", "memcpy"),
        ("weights/40MB/pulled", "zmq"),
    ]
    assert all(row.ours.value > 0.0 and row.reference.value > 0.0 for row in result.comparisons)
    for words in ("a waiting process takes", "ipc/torn/weights: 0 of", "ipc/torn/records: 0 of", "8 producers killed"):
        assert any(words in note for note in result.notes)
    assert os.sched_getaffinity(0) == affinity
