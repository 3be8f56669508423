"""The replay server between hand-made rings: what it takes, refuses, waits for, restores."""

import numpy as np
import pytest

from mzpipe.errors import ConfigError, InputOutputError
from mzpipe.ipc.columns import copied, named
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.ipc.schema import TERMINATED
from mzpipe.ipc.shape import Member
from mzpipe.replay.journal.thread import JournalThread
from mzpipe.replay.server import ReplayServer
from mzpipe.runs.last_moment import read_last_moment
from tests.tiny import ACTOR, make_context, make_plane, tiny_profile

REPLAY, LEARNER = Member("replay", 0), Member("learner", 0)
LENGTH = 5


class Bench:
    """A replay server whose neighbours are played by hand."""

    def __init__(self, directory, *overrides):
        directory.mkdir(exist_ok=True)
        self.profile = tiny_profile("replay.capacity_bytes=65536", *overrides)
        self.plane = make_plane(directory, self.profile)
        self.port = LocalPort()
        self.rng = np.random.default_rng(0)
        self.episode = 0

    def start(self, journal, *, inserted=0, learner_steps=0):
        self.counters = self.plane.counters(REPLAY)
        self.counters.set("inserted", inserted)
        self.plane.counters(LEARNER).set("learner_steps", learner_steps)
        self.where = {"directory": journal.parent, "port": self.port}
        self.server = self.start_server(epoch=0)
        self.actors = [RingWriter(self.plane.trajectory_ring(actor)) for actor in range(self.plane.shape.actors)]
        self.batches = RingReader(self.plane.batch_ring(0))
        self.priorities = RingWriter(self.plane.priority_ring(0))
        return self

    def start_server(self, epoch):
        server = ReplayServer(make_context(self.profile, self.plane, Role.REPLAY, epoch=epoch, **self.where))
        server.on_start()
        return server

    def kill_and_restart(self):
        """Starts the next server over the rings of one that ends here, its journal written but nothing else."""
        assert self.server._recovery.journal.close(60.0)
        self.server = self.start_server(epoch=1)

    def play(self, records, *, actor=0, **planted):
        """Commits whole records of one episode each, as far as the ring has room; returns how many."""
        for number in range(records):
            slot = self.actors[actor].claim()
            if slot is None:
                return number
            for array in named(slot).values():
                array[...] = 0
            slot.episode[0], slot.length[0], slot.end[0] = self.episode, LENGTH, TERMINATED
            slot.frame[:] = self.rng.normal(size=slot.frame.shape)
            slot.steps.reward[:] = 1.0
            slot.steps.root_value[:] = self.rng.normal(size=LENGTH)
            slot.steps.search_policy[:] = 0.5
            slot.steps.legal_actions[:] = True
            slot.steps.weights_version[:] = 1
            for name, value in planted.items():
                named(slot)[name][0] = value
            self.episode += 1
            self.actors[actor].commit()
        return records

    def laps(self, count=20):
        return sum(self.server.do_work() for _ in range(count))

    def get(self, name):
        return self.counters.get(name)

    def notes(self):
        notes = [message.text for message in self.port.to_supervisor]
        self.port.to_supervisor.clear()
        return notes

    def fill(self, records):
        """Plays until the server has inserted this many records; the learner takes every batch."""
        while records > 0:
            records -= self.play(min(records, 4))
            self.laps(8)
            self.take_batches()

    def play_at_the_edge(self, laps, actors, **planted):
        """Counts the records taken from each of these actors, which always have more; the learner takes every batch."""
        taken = dict.fromkeys(actors, 0)
        for _ in range(laps):
            for actor in actors:
                taken[actor] += self.play(99, actor=actor, **planted)
            self.laps(1)
            self.take_batches()
        return taken

    def take_batches(self):
        keys = []
        while (slot := self.batches.peek()) is not None:
            keys.append(copied(slot.keys))
            self.batches.release()
        return keys


@pytest.fixture
def bench(tmp_path):
    benches = []

    def start(*overrides, name="plane", journal="journal", **progress):
        made = Bench(tmp_path / name, *overrides).start(tmp_path / journal, **progress)
        benches.append(made)
        return made

    yield start
    for each in benches:
        each.server.on_close()


def test_server_refuses_a_record_with_a_number_that_cannot_be_and_says_so_once(bench):
    server = bench()
    for planted in ({"reward": np.nan}, {"action": 7}, {"length": 99}):
        server.play(1, **planted)
        server.laps()
    assert server.get("refused") == 5 + 5 + 99
    assert server.get("inserted") == 0
    (note,) = [text for text in server.notes() if "refused" in text]
    assert note == "a record of actor-0 is refused: reward holds NaN or infinity; further ones are only counted"
    server.play(1)
    server.laps()
    assert server.get("inserted") == LENGTH


def test_server_says_who_waits_for_whom(bench):
    waiting = bench(name="waiting")
    waiting.play(4)
    waiting.laps(2000)
    assert waiting.get("sample_wait") > 0  # 20 transitions are needed, 20 are there: a batch, then the corridor
    assert waiting.get("insert_wait") == 0
    lagging = bench(
        "learner.batch_size=64",
        "replay.max_insert_lead=11",
        "replay.samples_per_insert=4.0",
        name="lagging",
        journal="other/journal",
    )
    while lagging.play(4) == 4:
        lagging.laps(8)
    lagging.laps(2000)
    assert lagging.get("insert_wait") > 0
    assert lagging.get("learner_wait") > 0


def at_the_edge(bench, room, actors=range(4), **planted):
    """A server whose actors wait for the learner; each batch makes room for `room` transitions."""
    server = bench("topology.actors=4", f"learner.batch_size={4 * room}")
    server.play_at_the_edge(60, actors, **planted)
    assert server.get("insert_wait") > 0
    return server


def test_server_takes_from_all_actors_alike_when_there_is_room_for_one_record_at_a_time(bench):
    server = at_the_edge(bench, LENGTH)
    taken = server.play_at_the_edge(42, range(4))
    assert sum(taken.values()) >= 40
    assert max(taken.values()) - min(taken.values()) <= 1


def test_server_takes_what_a_dead_actor_left_in_turn_with_what_the_others_play(bench):
    server = at_the_edge(bench, LENGTH)
    assert RingReader(server.plane.trajectory_ring(0)).peek(ahead=3) is not None
    taken = server.play_at_the_edge(10, (1, 2, 3))
    assert min(taken.values()) >= 2
    assert max(taken.values()) - min(taken.values()) <= 1
    server.play_at_the_edge(10, (1, 2, 3))
    assert RingReader(server.plane.trajectory_ring(0)).peek() is None


def test_server_does_not_let_short_records_overtake_a_long_one_for_ever(bench):
    server = at_the_edge(bench, 1, (1, 2, 3), length=1)
    server.play(1)
    server.play_at_the_edge(2 * LENGTH, (1, 2, 3), length=1)
    assert RingReader(server.plane.trajectory_ring(0)).peek() is None


def test_server_takes_priorities_and_drops_those_of_what_is_gone(bench):
    server = bench("replay.sampler=prioritized", "replay.priority_alpha=1.0")
    server.fill(10)
    server.play(1)
    server.laps()
    keys = server.take_batches()[-1]
    slot = server.priorities.claim()
    slot.keys.slot_B[:], slot.keys.generation_B[:] = keys
    slot.keys.generation_B[0] -= 1
    slot.priority_B[:] = 1e9
    server.priorities.commit()
    server.laps(1)
    assert server.get("stale_priorities") == 1
    assert server.get("priority_updates") == 3
    drawn = []
    for _ in range(6):
        server.play(1)
        server.laps(8)
        drawn += [keys.slot_B for keys in server.take_batches()]
    assert len(drawn) >= 4
    # The first one may have been drawn before.
    assert set(np.concatenate(drawn[1:]).tolist()) <= set(keys.slot_B[1:].tolist())


def test_server_restores_what_it_had_and_counts_what_a_kill_took(bench, tmp_path):
    first = bench(name="first")
    first.fill(12)
    first.server.on_close()
    again = bench(name="again", inserted=70, learner_steps=0)
    assert again.get("restored") == again.get("stored") == 60
    assert again.get("inserted") == 60
    assert again.get("lost") == 10
    assert "restored 60 transitions of 60 inserted so far; 10 lost in a kill" in again.notes()


def test_server_goes_on_from_what_was_sampled_before_a_restart(bench):
    """40 steps of 4 samples on 60 transitions: the lead is 20 at samples_per_insert=4, inside the corridor."""
    first = bench(name="first")
    first.fill(12)
    first.server.on_close()
    again = bench(name="again", learner_steps=40)
    again.laps(1)
    assert again.get("sampled") == 4 * 40 + 4


@pytest.mark.parametrize(("learner_steps", "beta_is_zero"), [(0, True), (10, False)])
def test_importance_weights_go_from_the_first_beta_to_the_last(bench, learner_steps, beta_is_zero):
    server = bench("replay.sampler=prioritized", "replay.priority_beta=[0.0,1.0]", learner_steps=learner_steps)
    server.fill(6)
    while (slot := server.batches.peek()) is None:
        server.play(1)
        server.laps(1)
    assert (slot.unrolls.weight_B == 1.0).all() == beta_is_zero


def test_sample_that_left_the_table_while_its_batch_waited_has_weight_zero(bench):
    server = bench("topology.reanalyzers=1", "reanalyze.fraction=1.0", "learner.batch_size=16")
    positions, targets = RingReader(server.plane.position_ring(0)), RingWriter(server.plane.target_ring(0))
    while positions.peek() is None:
        server.play(1)
        server.laps(1)
    table, step_B = server.server._table, server.server._batches._pending[0].step_B.copy()
    table.tail = int(step_B.max()) // LENGTH * LENGTH  # as if all trajectories before its own were removed
    while (batch := server.batches.peek()) is None:
        if (asked := positions.peek()) is not None:
            answer = targets.claim()
            answer.ticket[0] = asked.ticket[0]
            targets.commit()
            positions.release()
        server.laps(1)
    gone_B = step_B < table.tail
    assert 0 < gone_B.sum() == server.get("evicted")
    np.testing.assert_array_equal(batch.unrolls.weight_B == 0.0, gone_B)


def test_next_server_restores_the_journal_takes_the_rings_and_counts_what_is_missing(bench):
    server = bench()
    server.fill(12)
    assert server.get("sampled") > 0
    server.counters.add("inserted", 10)  # as if two records had been stored but not yet journaled
    server.counters.add("lost", 5)  # by a kill before
    sampled, before = server.get("sampled"), server.server
    server.play(2)
    server.kill_and_restart()
    assert server.get("restored") == server.get("inserted") == 60
    assert server.get("lost") == 5 + 10
    assert server.server._limiter.sampled == sampled
    assert "restored 60 transitions of 60 inserted so far; 15 lost in a kill" in server.notes()
    server.laps()
    assert server.get("inserted") == 70
    assert server.server._table.tail > before._table.head
    assert server.get("parts") == 12


def test_next_server_leaves_out_a_record_that_the_killed_one_had_stored_but_not_released(bench, monkeypatch):
    server = bench()
    server.play(3)
    server.laps(2)
    with monkeypatch.context() as killing:
        killing.setattr(server.server._readers[0], "release", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            server.laps(1)
    server.kill_and_restart()
    server.laps()
    assert (server.get("inserted"), server.get("lost")) == (3 * LENGTH, 0)
    server.play(1)
    server.laps()
    assert server.get("inserted") == 4 * LENGTH


def killed_in(server, point):
    """Has the server end at a point of taking in a record: before it does this, or right after."""
    when, what = point.split(" ", 1)
    replay = server.server
    owner, name = {
        "storing": (replay._store, "insert"),
        "releasing": (replay._readers[0], "release"),
        "counting": (replay, "_count_inserts"),
    }[what]
    act = getattr(owner, name)

    def act_and_end(*arguments, **options):
        if when == "after":
            act(*arguments, **options)
        raise ZeroDivisionError

    setattr(owner, name, act_and_end)
    with pytest.raises(ZeroDivisionError):
        server.laps(1)


@pytest.mark.parametrize("journaled", [True, False], ids=["journaled", "not journaled"])
@pytest.mark.parametrize(
    "point",
    [f"{when} {what}" for what in ("storing", "releasing", "counting") for when in ("before", "after")],
)
def test_what_is_told_as_lost_is_what_a_kill_of_the_server_took(bench, point, journaled):
    server = bench()
    played = LENGTH * server.play(3)
    server.laps(2)
    if not journaled:
        server.server._recovery.journal.append = lambda *arguments, **options: False
    killed_in(server, point)
    server.kill_and_restart()
    played += LENGTH * server.play(1)
    server.laps()
    server.plane.counters(ACTOR).set("env_steps", played)
    last = read_last_moment(server.plane.directory)
    stored = server.server._table.size
    assert (server.get("inserted"), server.get("stored")) == (stored, stored)
    assert server.get("lost") + last.in_flight == played - stored
    is_gone = not journaled and point in ("after releasing", "before counting", "after counting")
    assert played - stored == LENGTH * is_gone


def test_next_server_drops_priorities_of_batches_that_a_killed_one_handed_out(bench):
    server = bench("replay.sampler=prioritized")
    server.fill(10)
    server.play(1)
    server.laps()
    keys = server.take_batches()[-1]
    server.kill_and_restart()
    slot = server.priorities.claim()
    slot.keys.slot_B[:], slot.keys.generation_B[:] = keys
    slot.priority_B[:] = 1e9
    server.priorities.commit()
    taken = server.get("priority_updates")
    server.laps(1)
    assert (server.get("stale_priorities"), server.get("priority_updates")) == (4, taken)


def test_next_server_asks_reanalyzers_under_tickets_that_no_former_one_has_used(bench):
    server = bench("reanalyze.fraction=1.0")
    positions = RingReader(server.plane.position_ring(0))
    tickets = []
    for restart in (server.kill_and_restart, lambda: None):
        server.play(4)
        server.laps()
        while (slot := positions.peek()) is not None:
            tickets.append(int(slot.ticket[0]))
            positions.release()
        restart()
    assert len(tickets) >= 2
    assert len(set(tickets)) == len(tickets)


def test_server_takes_in_at_its_end_what_still_lies_in_the_rings(bench):
    """The rate limiter holds actors back while they play; at the end no actor plays any more."""
    first = bench("replay.max_insert_lead=11", "learner.batch_size=64", name="first")
    committed = 0
    while (count := first.play(1)) or first.laps(3):
        committed += count
    assert first.get("inserted") < committed * LENGTH
    first.server.on_close()
    assert bench(name="again").get("restored") == committed * LENGTH


def test_server_makes_room_for_what_actors_have_played_once_the_run_stops(bench):
    """Actors that end with a full ring wait until their last records fit."""
    server = at_the_edge(bench, LENGTH)
    server.laps()
    rings = [RingReader(server.plane.trajectory_ring(actor)) for actor in range(4)]
    assert server.laps() == 0 and all(ring.peek() is not None for ring in rings)
    server.plane.stop_word().raise_to(1)
    server.laps()
    assert all(RingReader(server.plane.trajectory_ring(actor)).peek() is None for actor in range(4))


def test_server_trains_on_another_runs_journal_without_actors(bench, tmp_path):
    first = bench(name="first", journal="finished/journal")
    first.fill(12)
    first.server.on_close()
    before = {path.name: path.read_bytes() for path in (tmp_path / "finished" / "journal").iterdir()}
    offline = bench(
        f"replay.from={tmp_path / 'finished'}", "reanalyze.fraction=1.0", name="offline", journal="own/journal"
    )
    assert offline.get("restored") == 60
    offline.server._batches._reanalysis = None  # no reanalyzer answers here; tests/reanalyze does
    offline.laps()
    assert len(offline.take_batches()) >= 4
    assert not (tmp_path / "own").exists()
    assert {path.name: path.read_bytes() for path in (tmp_path / "finished" / "journal").iterdir()} == before


@pytest.mark.parametrize(
    ("value_target", "learner_steps", "mixed_newest", "mixed"),
    [
        ("mixed", 100, 0, True),
        ("mixed", 99, 0, False),
        ("mixed", 100, 1_000, False),  # more than the table holds
        ("n-step", 100, 5_000, False),
    ],
)
def test_server_takes_search_values_for_older_samples_from_mixed_after_steps_on(
    bench, value_target, learner_steps, mixed_newest, mixed
):
    sets = [f"replay.mixed_newest={mixed_newest}", "replay.mixed_after_steps=100"] if value_target == "mixed" else []
    server = bench(f"replay.value_target={value_target}", "reanalyze.fraction=1.0", *sets)
    server.server._batches._reanalysis = None  # no reanalyzer answers here; tests/reanalyze does
    server.plane.counters(LEARNER).set("learner_steps", learner_steps)
    server.play(4)
    while server.get("inserted") < 4 * LENGTH:
        server.server._insert(0)
    table = server.server._table
    table.steps.root_value[:], table.added.search_version_C[:] = 77.0, 2
    server.laps()
    unrolls = server.batches.peek().unrolls
    inside = unrolls.policy_mask_BK1 == 1.0
    assert (unrolls.value_target_BK1[inside] == 77.0).all() == mixed


def test_server_refuses_to_learn_from_a_run_without_a_journal(bench, tmp_path):
    with pytest.raises(InputOutputError, match=r"replay.from='.*nowhere': .*journal holds no journal to train on"):
        bench(f"replay.from={tmp_path / 'nowhere'}", "reanalyze.fraction=1.0")


def test_server_refuses_a_min_size_that_the_table_cannot_hold(bench):
    with pytest.raises(ConfigError, match=r"replay.min_size_to_sample=5000: the table holds \d+ transitions"):
        bench("replay.min_size_to_sample=5000")


def test_server_refuses_a_journal_of_another_game(bench, tmp_path):
    first = bench(name="first")
    first.fill(2)
    first.server.on_close()
    with pytest.raises(InputOutputError, match=r"the journal belongs to another game: frame_shape \(4,\), not \(8,\)"):
        bench("game.name=LunarLander-v3", name="other")


def test_server_goes_without_a_journal_when_none_is_wanted(bench, tmp_path):
    server = bench("replay.journal=false")
    server.fill(3)
    server.server.on_close()
    assert not (tmp_path / "journal").exists()


def test_server_says_so_when_the_disk_does_not_take_its_journal_in_time(bench, monkeypatch):
    made = bench()
    made.fill(8)
    monkeypatch.setattr(JournalThread, "close", lambda thread, timeout_s: False)
    made.server.on_close()
    (note,) = [text for text in made.notes() if "journal" in text]
    assert "the disk has not taken the rest of the journal within 1.5 s" in note
    monkeypatch.undo()  # so that the fixture ends the thread
