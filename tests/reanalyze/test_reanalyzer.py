"""The reanalyzer between hand-made rings: order, its successor, and what the replay server does with answers."""

import numpy as np
import pytest
import torch

from mzpipe.ipc.columns import copied
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.reanalyze.reanalyzer import Reanalyzer
from mzpipe.replay.frames import NONE
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.reanalysis import Reanalysis
from mzpipe.replay.sizes import TableShape
from mzpipe.replay.table import Table
from tests.tiny import make_context, make_plane, observations, publish, random_model, started_server, tiny_profile

TREES = 3
LEARNER = Member("learner", 0)


class Bench:
    """One reanalyzer with its inference server; the replay server is played by hand."""

    def __init__(self, directory, *overrides):
        self.profile = tiny_profile(
            *overrides,
            "reanalyze.fraction=1.0",
            "reanalyze.target_interval=10",
            "search.root_exploration_fraction=0.0",
            f"topology.trees_per_reanalyzer_lane={TREES}",
        )
        self.plane = make_plane(directory, self.profile)
        publish(self.plane, random_model(self.profile, self.plane, 0))
        self.server = started_server(self.profile, self.plane)
        self.positions = RingWriter(self.plane.position_ring(0))
        self.targets = RingReader(self.plane.target_ring(0))
        self.start(epoch=0)

    def start(self, epoch):
        self.reanalyzer = Reanalyzer(make_context(self.profile, self.plane, Role.REANALYZER, epoch=epoch))
        self.reanalyzer.on_start()

    def ask(self, ticket, rows=TREES):
        slot = self.positions.claim()
        slot.ticket[0], slot.rows[0] = ticket, rows
        size = slot.observation.shape[1]
        slot.observation[:] = observations(TREES, seed=ticket)[:, :size]
        slot.bootstrap_observation[:] = observations(TREES, seed=100 + ticket)[:, :size]
        slot.legal_actions[:] = True
        self.positions.commit()

    def laps(self, count):
        for _ in range(count):
            self.reanalyzer.do_work()
            self.server.do_work()

    def answers(self):
        found = {}
        while (slot := self.targets.peek()) is not None:
            found[int(slot.ticket[0])] = copied(slot)
            self.targets.release()
        return found


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_answers_come_back_under_their_tickets_in_order(bench):
    for ticket in range(3):
        bench.ask(ticket)
    bench.laps(100)
    found = bench.answers()
    assert list(found) == [0, 1, 2]
    for answer in found.values():
        np.testing.assert_allclose(answer.search_policy.sum(1), 1.0, atol=1e-5)
        assert np.isfinite(answer.root_value).all()
        assert answer.search_version == answer.bootstrap_version == 1
    assert np.ptp([answer.root_value[0] for answer in found.values()]) > 0


def test_answers_have_the_candidates_that_were_searched_where_actions_are_sampled(tmp_path):
    bench = Bench(tmp_path, "game.name=Pendulum-v1", "game.gymnasium.sampled_actions=6")
    model = random_model(bench.profile, bench.plane, 0)
    for ticket in range(2):
        bench.ask(ticket)
    bench.laps(100)
    found = bench.answers()
    for ticket, answer in found.items():
        with torch.no_grad():
            root = model.initial_inference(torch.from_numpy(observations(TREES, seed=ticket)[:, :3]))
        np.testing.assert_allclose(answer.candidates, root.policy_logits_BA[:, 6:].numpy(), atol=1e-4)
    assert list(found) == [0, 1]


def test_successor_of_a_killed_reanalyzer_searches_again_what_was_under_way(bench):
    for ticket in range(4):
        bench.ask(ticket)
    bench.laps(3)  # two are under way, nothing is finished
    assert bench.answers() == {}
    bench.start(epoch=1)
    bench.laps(100)
    assert list(bench.answers()) == [0, 1, 2, 3]


def test_targets_are_committed_when_their_group_is_released(bench, monkeypatch):
    release, committed = bench.reanalyzer._positions.release, []
    monkeypatch.setattr(
        bench.reanalyzer._positions, "release", lambda: (committed.append(list(bench.answers())), release())
    )
    for ticket in range(3):
        bench.ask(ticket)
    bench.laps(100)
    assert committed == [[0], [1], [2]]


def test_target_network_stays_until_its_interval_has_passed(bench):
    versions = []
    for ticket in range(8):
        bench.plane.counters(LEARNER).set("learner_steps", 4 * ticket)  # newer weights every 4 steps, targets every 10
        publish(bench.plane, random_model(bench.profile, bench.plane, ticket + 1))
        bench.ask(ticket)
        bench.laps(50)
        (answer,) = bench.answers().values()
        versions.append((int(answer.search_version[0]), int(answer.bootstrap_version[0])))
    assert [search for search, _ in versions] == list(range(2, 10))
    # The lane's version changes with the first request after steps 10 and 20: tickets 3 and 5.
    assert [target for _, target in versions] == [2, 2, 2, 5, 5, 7, 7, 7]


class Waits:
    """The fields of a batch that Reanalysis uses."""

    def __init__(self):
        self.waiting = self.fresh = 0


def filled_table(plane, transitions=40, offset=0):
    table = Table(
        TableShape(
            capacity_bytes=1 << 16,
            frame_shape=plane.shape.frame_shape,
            frame_dtype="float32",
            num_actions=2,
            trajectory_length=5,
        )
    )
    layout = plane.shape.segments()["trajectory-0"].slot
    record = layout.record(bytearray(layout.nbytes))
    record.length[0], record.end[0], record.offset[0] = 5, 1, offset
    record.steps.search_policy[:], record.steps.legal_actions[:] = 0.5, True
    for episode in range(transitions // 5):
        record.episode[0] = episode
        record.frame[:] = observations(5, seed=episode)
        table.insert(record, actor=0, epoch=0)
    return table


def test_replay_server_stores_answers_once_though_they_come_twice(bench):
    table = filled_table(bench.plane)
    gatherer = Gatherer(table, discount=0.9, td_steps=2)
    reanalysis = Reanalysis(bench.plane, table, gatherer)
    batch = Waits()
    reanalysis.request(np.array([3, 7, 11, 12]), np.full(4, 2), batch)
    assert batch.waiting == 4
    for _ in range(100):
        reanalysis.do_work()
        bench.laps(1)
    assert (batch.waiting, batch.fresh) == (0, 4)
    assert (table.added.search_version_C[[3, 7, 11, 12]] == 1).all()
    later = gatherer.later_steps(np.array([3, 7, 11, 12]), np.full(4, 2))
    assert later.tolist() == [NONE, 9, 13, 14]
    assert (table.added.bootstrap_version_C[[9, 13, 14]] == 1).all()
    assert (table.added.search_version_C[[0, 1, 2, 4]] == 0).all()
    writer = RingWriter(bench.plane.target_ring(0))
    slot = writer.claim()
    slot.ticket[0], slot.root_value[:] = 0, 123.0  # a reanalyzer that was started again answers ticket 0 anew
    writer.commit()
    reanalysis.do_work()
    assert (batch.waiting, batch.fresh) == (0, 4)
    assert 123.0 not in table.steps.root_value


def test_positions_that_left_the_table_are_neither_searched_nor_waited_for(bench):
    table = filled_table(bench.plane)
    reanalysis = Reanalysis(bench.plane, table, Gatherer(table, discount=0.9, td_steps=2))
    batch = Waits()
    reanalysis.request(np.array([0, 1, 20]), np.full(3, 2), batch)
    table.tail = 10
    for _ in range(60):
        reanalysis.do_work()
        bench.laps(1)
    assert (batch.waiting, batch.fresh) == (0, 1)


def test_targets_of_positions_that_left_the_table_during_their_search_are_dropped(bench):
    table = filled_table(bench.plane)
    reanalysis = Reanalysis(bench.plane, table, Gatherer(table, discount=0.9, td_steps=2))
    batch = Waits()
    reanalysis.request(np.array([2, 6, 20]), np.full(3, 2), batch)
    reanalysis.do_work()  # hands the group out
    table.tail = 10
    for _ in range(60):
        reanalysis.do_work()
        bench.laps(1)
    assert (batch.waiting, batch.fresh) == (0, 3)
    assert table.added.search_version_C[[2, 6, 20]].tolist() == [0, 0, 1]
    assert table.added.bootstrap_version_C[[4, 8, 22]].tolist() == [0, 0, 1]


@pytest.mark.parametrize(("offset", "fresh"), [(0, 3), (5, 0)], ids=["whole games", "games without their beginning"])
def test_positions_whose_game_is_not_known_are_not_searched_where_the_search_needs_it(bench, offset, fresh):
    table = filled_table(bench.plane, offset=offset)
    reanalysis = Reanalysis(bench.plane, table, Gatherer(table, discount=0.9, td_steps=2))
    reanalysis._needs_history, batch = True, Waits()
    reanalysis.request(np.array([2, 6, 20]), np.full(3, 2), batch)
    for _ in range(60):
        reanalysis.do_work()
        bench.laps(1)
    assert (batch.waiting, batch.fresh) == (0, fresh)
