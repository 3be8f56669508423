"""A gateway and an uplink over a real socket: records cross once and in order, whatever dies in between."""

import secrets
import socket
import time

import numpy as np
import pytest
import zmq

from mzpipe.cluster import protocol
from mzpipe.cluster.identity import profile_digest
from mzpipe.cluster.keys import new_head_keys, new_pod_key, pod_key_path, read_key, run_keys
from mzpipe.cluster.protocol import POD_CODEC, RUN_CODEC
from mzpipe.cluster.sockets import PodSocket
from mzpipe.config.cluster import split_address
from mzpipe.errors import InputOutputError, UsageError
from mzpipe.ipc.columns import named
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.ipc.weights import WeightsSubscriber
from tests.cluster.rig import WAIT_S, Head, Pod, fill, step


@pytest.fixture
def head(tmp_path):
    head = Head(tmp_path / "head")
    yield head
    head.close()


def drained(head, pod_number=0):
    """(offset, epoch) of every record in the pod's ring, which are released; each is compared with what was played."""
    reader, found = head.records[pod_number], []
    while (slot := reader.peek()) is not None:
        rows = int(slot.length[0])
        expected = head.plane.trajectory_ring(0).layout  # the same layout; only its fields are needed
        other = expected.record(bytearray(expected.nbytes))
        fill(other, int(slot.offset[0]), rows)
        for name, array in named(slot).items():
            if name != "game":
                used = slice(None, rows) if array.shape[0] == head.plan.shape.trajectory_length else slice(None)
                np.testing.assert_array_equal(array[used], named(other)[name][used], err_msg=name)
        found.append((int(slot.offset[0]), reader.epoch()))
        reader.release()
    return found


def test_records_cross_whole_and_in_their_actors_order(head, pod):
    for _ in range(3):
        assert pod.play(0)
    step(head, pod, until=lambda: head.count("pod_transitions") == 15)
    assert [offset for offset, _ in drained(head)] == [0, 1, 2]


def test_games_of_a_pods_actors_have_numbers_of_their_own(head, pod):
    pod.play(0)
    pod.play(1)
    step(head, pod, until=lambda: head.count("pod_transitions") == 10)
    games = head.plan.shape.games_per_actor
    reader = head.records[0]
    found = []
    while (slot := reader.peek()) is not None:
        found.append(int(slot.game[0]))
        reader.release()
    assert sorted(found) == [1, games + 1]


def test_epochs_tell_lives_of_actors_and_of_pods_apart(head, pod, tmp_path):
    pod.play(epoch=0)
    pod.play(epoch=2)
    step(head, pod, until=lambda: head.count("pod_transitions") == 10)
    first = drained(head)
    successor = Pod(tmp_path / "again", head)
    step(head, successor, until=lambda: successor.uplink._is_joined)
    successor.play(epoch=0)
    step(head, successor, until=lambda: head.count("pod_transitions") == 15)
    epochs = [epoch for _, epoch in first + drained(head)]
    assert epochs == [(1 << 16), (1 << 16) + 2, (2 << 16)]
    successor.close()


def test_a_full_ring_of_the_run_makes_the_pods_ring_full_and_nothing_waits_in_between(head, pod):
    """Back-pressure: 4 records wait in the run's ring, 4 in the actor's, none elsewhere; all arrive in the end."""
    step(head, pod, until=lambda: pod.play() and pod.serial == 4 + 4)
    step(head, pod, until=lambda: pod.uplink._counters.get("credit_wait") > 0)
    for _ in range(50):
        step(head, pod)
        assert not pod.play()
    found = []
    while len(found) < 20:
        found += drained(head)
        if pod.serial < 20:
            pod.play()
        step(head, pod, at_least=1)
    assert [offset for offset, _ in found] == list(range(20))


def test_actors_of_a_pod_share_the_room_of_the_run_alike(head, pod):
    found = []
    while len(found) < 40:
        pod.play(0)
        pod.play(1)
        step(head, pod, at_least=1)
        reader = head.records[0]
        while (slot := reader.peek()) is not None:
            found.append(int(slot.game[0]) >= head.plan.shape.games_per_actor)
            reader.release()
    assert 15 <= sum(found) <= 25


def test_records_that_were_not_taken_are_sent_again_and_only_those_when_the_uplink_dies(head, pod):
    """The uplink is killed with records on their way: its successor learns which the run has taken."""
    for _ in range(3):
        pod.play()
    pod.uplink.do_work()  # all are sent; the run takes none yet
    pod.kill()
    step(head, at_least=50)  # some may have arrived
    arrived = head.count("pod_transitions") // 5
    pod.start(epoch=1)
    pod.play()
    step(head, pod, until=lambda: head.count("pod_transitions") >= 20)
    step(head, pod, at_least=50)
    assert [offset for offset, _ in drained(head)] == [0, 1, 2, 3]
    assert arrived in range(4)


def test_a_record_is_never_taken_twice_and_none_is_lost_when_the_gateway_dies(head, pod):
    found = []
    for life in range(4):
        for _ in range(2):
            pod.play()
        pod.uplink.do_work()
        step(head, until=lambda: True, at_least=3 * life)
        head.kill()
        head.start(epoch=life + 1)
        step(head, pod, until=lambda: pod.uplink._is_joined and head.gateway._links[0].is_joined)
        found += drained(head)
    step(head, pod, until=lambda: head.row.taken_A[0] == 8)
    assert [offset for offset, _ in found + drained(head)] == list(range(8))


def test_a_gateway_that_dies_between_counting_a_record_and_committing_it_does_not_take_it_again(head, pod, monkeypatch):
    """At most once: that record is lost, and the next one is the one that is wanted."""

    def die(*arguments):
        raise KeyboardInterrupt

    pod.play()
    pod.play()
    monkeypatch.setattr(head.gateway._links[0]._writer, "commit", die)
    with pytest.raises(KeyboardInterrupt):
        step(head, pod, until=lambda: False)
    head.kill()
    head.start(epoch=1)
    step(head, pod, until=lambda: head.row.taken_A[0] == 2)
    assert [offset for offset, _ in drained(head)] == [1]


def test_what_a_dead_pod_had_played_and_not_handed_over_is_counted_as_lost(head, pod, tmp_path):
    for _ in range(8):  # 4 fit into the run's ring, 4 stay in the pod's
        step(head, pod, until=pod.play)
    step(head, pod, until=lambda: head.row.on_their_way() == 20)
    pod.kill()
    successor = Pod(tmp_path / "again", head)
    step(head, successor, until=lambda: successor.uplink._is_joined and head.count("pod_lost"))
    assert head.count("pod_lost") == 20
    assert "pod-0: 20 transitions that its former life had played are lost" in head.lines()
    successor.close()


def test_what_pods_have_played_counts_for_the_run(head, pod, tmp_path):
    other = Pod(tmp_path / "other", head, number=1)
    pod.uplink._rows[0].add("episode_return", 2.5)
    pod.play()
    other.play()
    step(head, pod, other, until=lambda: head.count("env_steps") == 10)
    assert head.gateway._counters.value("episode_return") == 2.5
    assert head.plane.total("env_steps") == 10
    other.close()


def test_both_ends_are_woken_by_what_arrives(head, pod):
    of_head, of_pod = head.plane.doorbell(Member(Role.GATEWAY, 0)), pod.plane.doorbell(Member(Role.UPLINK, 0))
    step(head, pod, at_least=20)
    pod.play()
    rings = of_head.sequence()
    step(None, pod, until=lambda: of_head.sequence() > rings)
    rings = of_pod.sequence()
    step(head, until=lambda: of_pod.sequence() > rings)


def test_lap_that_sends_does_not_sleep_over_what_arrives_meanwhile(head, pod, monkeypatch):
    """libzmq takes in what has come while it sends: nothing will ring for that."""
    step(head, pod, at_least=20)
    real, sent = pod.uplink._socket.send, []

    def slow(message, payload=None):
        monkeypatch.setattr(pod.uplink._socket, "send", real)
        version = head.publish()
        step(head, until=lambda: head.gateway._links[0]._version == version)
        time.sleep(0.2)  # it is on its way, and nothing says when it is here
        sent.append(real(message, payload))
        return sent[-1]

    monkeypatch.setattr(pod.uplink._socket, "send", slow)
    pod.uplink._beat_due_s = 0.0
    assert pod.uplink.do_work() and sent == [True]


def test_lap_that_drops_messages_is_no_idle_one(head, pod):
    socket = joined_raw(head)
    step(head, at_least=20)
    socket.socket.send_multipart([b"one", b"two", b"three"])
    deadline_s = time.monotonic() + WAIT_S
    while not head.count("refused_pods") and time.monotonic() < deadline_s:
        worked = head.gateway.do_work()
        time.sleep(0.001)
    assert head.count("refused_pods") == 1 and worked
    socket.close()


# Weights.


def weights_of(pod):
    return WeightsSubscriber(pod.plane.weights()).pull()


def test_a_pod_gets_the_newest_weights_under_the_runs_version(head, pod):
    for _ in range(5):
        head.publish(learner_steps=70, env_steps=700)
    step(head, pod, until=lambda: weights_of(pod) is not None and weights_of(pod).version == 5)
    pulled = weights_of(pod)
    assert (pulled.learner_steps, pulled.env_steps) == (70, 700)
    assert (pulled.weights == 5.0).all()
    assert pod.uplink._counters.get("weights_taken") < 5


@pytest.mark.parametrize("chunk_bytes", [64, 1000, 1 << 19])
def test_weights_cross_in_chunks_of_any_size(head, pod, monkeypatch, chunk_bytes):
    monkeypatch.setattr("mzpipe.cluster.transfer.CHUNK_BYTES", chunk_bytes)
    pod.kill()
    pod.start(epoch=1)
    weights = np.random.default_rng(0).normal(size=head.plan.shape.weights_bytes // 4).astype(np.float32)
    head.publisher.publish(weights, learner_steps=1, env_steps=1)
    step(head, pod, until=lambda: weights_of(pod) is not None)
    np.testing.assert_array_equal(weights_of(pod).weights, weights)


def test_a_transfer_goes_on_to_its_end_while_newer_versions_come(head, pod, monkeypatch):
    """A link slower than the learner: the pod gets whole versions, each of one publication, and skips others."""
    monkeypatch.setattr("mzpipe.cluster.transfer.CHUNK_BYTES", 64)
    pod.kill()
    pod.start(epoch=1)
    seen = set()

    def see():
        head.publish()
        pulled = weights_of(pod)
        if pulled is not None:
            assert (pulled.weights == pulled.version).all()
            seen.add(pulled.version)
        return len(seen) > 10

    step(head, pod, until=see)
    assert len(seen) < head.publisher.version / 1.2


def test_weights_that_do_not_have_their_digest_are_not_published(head, pod, monkeypatch):
    monkeypatch.setattr("mzpipe.cluster.transfer.crc32c", lambda data, before=0: secrets.randbits(32))
    head.publish()
    with pytest.raises(InputOutputError, match="does not have the digest"):
        step(head, pod, until=lambda: False)
    assert weights_of(pod) is None


def test_the_runs_machine_knows_where_a_pod_lives_and_what_it_plays_with(head, pod):
    assert head.row.node == socket.gethostname()[:64]
    head.publish()
    step(head, pod, until=lambda: head.row.weights_version == 1)


@pytest.mark.parametrize(("name", "kept"), [("", ""), ("x" * 100, "x" * 64), ("K\u00f6ln" * 20, None)])
def test_name_of_a_machine_is_kept_as_far_as_there_is_room(head, name, kept):
    head.row.node = name
    assert head.row.node == kept if kept is not None else head.row.node.startswith("K\u00f6ln")


def test_the_learners_steps_reach_the_pods_actors(head, pod):
    head.gateway._learner.set("learner_steps", 123)
    step(head, pod, until=lambda: pod.uplink._counters.get("learner_steps") == 123)


# Silence and the end.


class Late:
    """A clock that jumps."""

    def __init__(self, clock):
        self.clock, self.ahead_s = clock, 0.0

    def now_s(self):
        return self.clock.now_s() + self.ahead_s


def test_a_pod_ends_when_the_run_is_silent(head, pod):
    late = pod.uplink._clock_s = Late(pod.uplink._clock_s)
    late.ahead_s = protocol.SILENCE_S + 1
    with pytest.raises(InputOutputError, match=r"127.0.0.1:\d+: no word from the run for 8 s"):
        pod.uplink.do_work()


def test_the_run_goes_on_without_a_silent_pod_and_takes_it_up_again_when_it_speaks(head, pod):
    pod.play()
    step(head, pod, until=lambda: head.count("env_steps") == 5)
    late = head.gateway._clock_s = Late(head.gateway._clock_s)
    late.ahead_s = protocol.SILENCE_S + 1
    head.gateway.do_work()
    assert not head.row.is_linked
    assert any("pod-0 has been silent for 8 s: the run goes on without it" in line for line in head.lines())
    pod.play()
    step(head, pod, until=lambda: head.row.is_linked and head.count("pod_transitions") == 10)
    assert [offset for offset, _ in drained(head)] == [0, 1]
    assert head.count("rejoins") == 0


def test_a_pod_hands_over_what_it_has_when_the_run_ends(head, pod):
    for _ in range(4):
        pod.play()
    head.gateway.drain()
    step(None, pod, until=lambda: pod.uplink._has_ended)
    assert [type(message).__name__ for message in pod.port.to_supervisor] == ["RunEnded"]
    step(None, until=lambda: [head.gateway.drain(), pod.uplink.drain()][1])
    pod.close()
    step(None, until=head.gateway.drain)
    assert not head.row.is_linked
    assert [offset for offset, _ in drained(head)] == [0, 1, 2, 3]


def test_a_lost_message_makes_the_pod_join_again(head, pod, monkeypatch):
    """What a broken connection swallows shows in the next heartbeat, or in the next record."""
    real, dropped = pod.uplink._socket.send, []

    def lossy(message, payload=None):
        if payload is not None and not dropped:
            dropped.append(payload)
            return True
        return real(message, payload)

    monkeypatch.setattr(pod.uplink._socket, "send", lossy)
    pod.play()
    step(head, pod, until=lambda: head.count("pod_transitions") == 5)
    assert dropped
    assert head.count("rejoins") == 1
    assert [offset for offset, _ in drained(head)] == [0]


def test_a_lost_message_of_the_run_makes_the_pod_join_again(head, pod, monkeypatch):
    real, dropped = head.gateway._socket.send, []

    def lossy(identity, message, payload=None):
        if b"Chunk" in message and not dropped:
            dropped.append(message)
            return True
        return real(identity, message, payload)

    monkeypatch.setattr(head.gateway._socket, "send", lossy)
    head.publish()
    step(head, pod, until=lambda: weights_of(pod) is not None)
    assert dropped


# Who may not join, and what no pod sends.


def refused(head, pod):
    with pytest.raises(UsageError, match="the run refuses this pod") as caught:
        step(head, pod, until=lambda: False)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (0, "install the same"),
        (1, "a session of the run that has ended"),
        (3, "another layout"),
        (4, "another profile"),
    ],
)
def test_a_pod_of_another_program_run_layout_or_profile_is_refused(head, tmp_path, place, reason):
    pod = Pod(tmp_path / "pod", head)
    identity = list(pod.uplink._identity)
    identity[place] = "0" * 12
    pod.uplink._identity = tuple(identity)
    assert reason in refused(head, pod)
    assert any("pod-0 is refused" in line and reason in line for line in head.lines())
    assert not head.row.is_linked
    pod.close()


def raw_socket(head, key=None, largest=1 << 24):
    key = key or read_key(pod_key_path(head.home, 1))
    socket = PodSocket(key, *split_address(head.address), largest=largest)
    socket.connect()
    return socket


BAD_MESSAGES = {
    "garbage": (b"\x00\xffgarbage", None),
    "nothing": (b"", None),
    "another version": (bytes([9]) + POD_CODEC.encode(protocol.Want(0))[1:], None),
    "a megabyte": (b"\x01" + b"x" * (1 << 20), None),
    "a record before a join": (POD_CODEC.encode(protocol.Record(0, 0, 0, 5)), b"x" * 100),
}


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_garbage_of_a_pod_is_told_in_one_line_and_harms_nobody_else(head, pod, name):
    socket = raw_socket(head)
    socket.send(*BAD_MESSAGES[name])
    step(head, pod, at_least=30)
    pod.play()
    step(head, pod, until=lambda: head.count("pod_transitions") == 5)
    lines = [line for line in head.lines() if "pod-1" in line]
    assert len(lines) <= 1
    assert all(len(line) < 400 and "\n" not in line for line in lines)
    socket.close()


def joined_raw(head, number=1):
    """A socket of pod 1 that has joined, for a test to misuse."""
    socket = raw_socket(head, read_key(pod_key_path(head.home, number)))
    code, run_id, layout = head.gateway._identity
    socket.send(POD_CODEC.encode(protocol.Join(1, code, run_id, 77, layout, profile_digest(head.profile), "a node")))
    step(head, until=lambda: head.gateway._links[number].is_joined)
    return socket


def packed(head, **changes):
    packer = head.gateway._links[0]._packers.trajectory
    layout = head.plane.trajectory_ring(0).layout
    slot = layout.record(bytearray(layout.nbytes))
    fill(slot, 0, 5)
    for name, value in changes.items():
        named(slot)[name][...] = value
    return packer.pack(slot, 5)


BAD_RECORDS = {
    "another actor": ((2, 0, 0, 5), {}, "actor 2"),
    "a negative actor": ((-1, 0, 0, 5), {}, "actor -1"),
    "an epoch too large": ((0, 0, 1 << 16, 5), {}, "epoch 65536"),
    "too many rows": ((0, 0, 0, 6), {}, "6 rows, at most 5"),
    "no rows": ((0, 0, 0, 0), {}, "0 rows"),
    "fewer rows than bytes": ((0, 0, 0, 4), {}, "expected"),
    "another length": ((0, 0, 0, 5), {"length": 4}, "length 4 in 5 rows"),
    "a game too high": ((0, 0, 0, 5), {"game": 6}, "game 6"),
    "a negative game": ((0, 0, 0, 5), {"game": -1}, "game -1"),
}


@pytest.mark.parametrize("name", BAD_RECORDS)
def test_a_record_that_no_pod_sends_drops_the_pod_and_reaches_no_ring(head, pod, name):
    fields, changes, words = BAD_RECORDS[name]
    socket = joined_raw(head)
    socket.send(POD_CODEC.encode(protocol.Record(*fields)), packed(head, **changes))
    step(head, pod, until=lambda: not head.gateway._links[1].is_joined)
    lines = [line for line in head.lines() if "pod-1 is refused: it sends what no pod sends" in line]
    assert len(lines) == 1
    assert words in lines[0]
    assert drained(head, 1) == []
    pod.play()
    step(head, pod, until=lambda: head.count("pod_transitions") == 5)
    socket.close()


def test_a_pod_that_sends_more_than_its_credit_is_dropped(head, pod):
    socket = joined_raw(head)
    for number in range(5):
        socket.send(POD_CODEC.encode(protocol.Record(0, number, 0, 5)), packed(head, offset=0))
    step(head, pod, until=lambda: not head.gateway._links[1].is_joined)
    assert any("Record 5 since the join, the limit is 4" in line for line in head.lines())
    socket.close()


@pytest.mark.parametrize("chunk", [-1, 1, 10**9])
def test_a_wish_for_a_chunk_that_is_not_there_drops_the_pod(head, pod, chunk):
    head.publish()
    socket = joined_raw(head)
    socket.send(POD_CODEC.encode(protocol.Want(chunk)))
    step(head, pod, until=lambda: not head.gateway._links[1].is_joined)
    assert any(f"Want: chunk {chunk}" in line for line in head.lines())
    socket.close()


def test_a_pods_key_does_not_open_another_pods_link(head, pod):
    """Pod 1 gives itself the name of pod 0: its messages are dropped before they are decoded."""
    socket = PodSocket(read_key(pod_key_path(head.home, 1)), *split_address(head.address), largest=1 << 20)
    socket.socket.setsockopt(zmq.IDENTITY, b"pod-0")
    socket.connect()
    socket.send(POD_CODEC.encode(protocol.Leave("I am pod 0")))
    step(head, pod, until=lambda: head.count("refused_pods") == 1)
    assert head.row.is_linked
    socket.close()


@pytest.mark.parametrize("which", ["a stranger's key", "another run's key", "no key"])
def test_nothing_of_an_unknown_peer_reaches_the_decoder(head, pod, monkeypatch, which):
    decoded = []
    real = POD_CODEC.decode
    monkeypatch.setattr("mzpipe.cluster.gateway.POD_CODEC.decode", lambda data: decoded.append(data) or real(data))
    if which == "no key":
        context = zmq.Context()
        stranger = context.socket(zmq.DEALER)
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.connect(f"tcp://{head.address}")
        stranger.send(b"hello", zmq.NOBLOCK)
        close = lambda: (stranger.close(), context.term())  # noqa: E731
    else:
        public = head.keys.public if which == "a stranger's key" else new_head_keys().public
        socket = raw_socket(head, new_pod_key(0, public))
        socket.send(POD_CODEC.encode(protocol.Leave("hello")))
        close = socket.close
    step(head, pod, at_least=100)
    assert not any(b"hello" in data for data in decoded)
    pod.play()
    step(head, pod, until=lambda: head.count("pod_transitions") == 5)
    close()


def test_a_pod_beyond_those_of_the_profile_is_refused(tmp_path):
    run_keys(tmp_path / "head", 3)
    head = Head(tmp_path / "head")
    socket = raw_socket(head, read_key(pod_key_path(head.home, 2)))
    socket.send(POD_CODEC.encode(protocol.Ask("x")))
    step(head, until=lambda: head.count("refused_pods") == 1)
    assert any("pod-2 is refused: the run has cluster.pods=2: raise it" in line for line in head.lines())
    socket.close()
    head.close()


def test_a_gateway_whose_address_is_taken_says_so(head, tmp_path):
    with pytest.raises(
        UsageError, match=r"cluster\.listen='127.0.0.1:\d+': cannot listen there: Address already in use"
    ):
        Head(tmp_path / "other", f"cluster.listen={head.address}")


def test_the_largest_frame_that_may_cross_does(head, pod):
    """The bound on a frame counts its encryption too: a whole chunk of weights is the largest that there is here."""
    largest = head.gateway._links[0]._packers.largest
    assert largest == protocol.CHUNK_BYTES
    socket = joined_raw(head)
    socket.send(POD_CODEC.encode(protocol.Record(0, 0, 0, 5)), b"x" * largest)
    step(head, until=lambda: not head.gateway._links[1].is_joined)
    assert any(f"in {largest} bytes" in line for line in head.lines())
    socket.close()
    head.gateway._socket.send(b"pod-0", RUN_CODEC.encode(protocol.Positions(9)), b"x" * largest)
    step(head, pod, until=lambda: pod.uplink._counters.get("link_bytes_in") > largest)
