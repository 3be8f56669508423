"""Resignation: who gives up and when, what is recorded of it, and how often it would have been wrong."""

import dataclasses

import numpy as np
import pytest

from mzpipe.actor.actor import Actor
from mzpipe.actor.resignation import FalseResigns, Resignation
from mzpipe.config import ActorConfig
from mzpipe.games import StepResult, describe_game
from mzpipe.ipc.columns import RecordLayout, copied
from mzpipe.ipc.ring import RingReader
from mzpipe.ipc.roles import Role
from mzpipe.ipc.schema import TERMINATED, TRUNCATED, BatchSlot
from mzpipe.planning import LanePlanner
from mzpipe.replay.gather import Gatherer
from mzpipe.replay.sizes import TableShape
from mzpipe.replay.table import Table
from tests.tiny import ACTOR, make_context, make_plane, publish, random_model, started_server, tiny_profile

SETTINGS = (
    "game.name=tic_tac_toe",
    "actor.trajectory_length=9",
    "topology.trajectory_ring_slots=64",
    "actor.resign_below=-0.9",
    "actor.resign_moves=2",
    "learner.num_unroll_steps=5",
)
LOW = -0.95


class Sums:
    """Counters and notes."""

    def __init__(self):
        self.numbers, self.notes = {"resigned": 0, "given_up": 0, "false_resigns": 0}, []

    def add(self, name, amount):
        self.numbers[name] += amount

    def get(self, name):
        return self.numbers[name]


class Lane:
    """Games that are told their values, move by move; `played_out` names those in which none resigns."""

    def __init__(self, played_out, moves=2):
        self.sums, config = Sums(), ActorConfig(resign_below=-0.9, resign_moves=moves, never_resign_fraction=0.5)
        false_resigns, rng = FalseResigns(config, self.sums, self.sums.notes.append), np.random.default_rng(0)
        self.played_out, self.size = np.array(played_out), len(played_out)
        self.resignation = Resignation(config, -0.9, false_resigns, self.size, rng)
        self.resignation._drawn = lambda num_games: np.full(num_games, False)
        self.resignation._is_played_out_G = self.played_out.copy()
        self.to_play = np.zeros(self.size, np.int8)

    def move(self, *values, ends=(), reward=0.0):
        """The games that are resigned when these are the values of the players to move."""
        ended_G = np.isin(np.arange(self.size), ends)
        none = np.zeros(self.size, bool)
        step = StepResult(np.zeros((self.size, 1)), np.where(ended_G, reward, 0).astype(np.float32), ended_G, none)
        step, resigned_G = self.resignation.judge(step, np.array(values, np.float32), self.to_play)
        assert (step.truncated_B == resigned_G).all() and (step.terminated_B == ended_G).all()
        self.to_play = np.where(ended_G | resigned_G, 0, 1 - self.to_play).astype(np.int8)
        return np.flatnonzero(resigned_G).tolist()


def test_a_player_resigns_after_low_values_at_own_moves_in_a_row():
    lane = Lane([False, False, False])
    assert lane.move(LOW, 0.0, LOW) == []
    assert lane.move(0.9, LOW, LOW) == []  # the other player's first low value in games 1 and 2
    assert lane.move(LOW, 0.5, -0.5) == [0]
    assert lane.move(0.0, LOW, 0.0) == [1]
    assert lane.sums.numbers == {"resigned": 2, "given_up": 0, "false_resigns": 0}


def test_a_value_at_the_limit_is_not_below_it_and_a_new_game_counts_anew():
    lane = Lane([False])
    for _ in range(3):
        assert lane.move(np.float32(-0.875)) == []
    lane.move(LOW)
    lane.move(0.0, ends=[0], reward=1.0)
    for _ in range(2):  # the new game's first moves
        assert lane.move(LOW) == []
    assert lane.move(LOW) == [0]


def test_games_that_are_played_out_show_who_gave_up_and_whether_that_was_wrong():
    lane = Lane([True] * 4)
    for values in ([LOW] * 4, [LOW, 0, 0, 0], [LOW] * 4):  # player 0 gives up in all of them at the third move
        assert lane.move(*values) == []
    lane.move(LOW, 0.9, 0.9, 0.9, ends=[0], reward=1.0)  # player 1 won, so player 0 lost
    lane.move(0, 0, 0, 0, ends=[1], reward=1.0)  # player 0 won
    lane.move(0, 0, 0, 0, ends=[2], reward=0.0)  # a draw
    lane.move(0, 0, 0, 0, ends=[3], reward=-1.0)  # player 0's own move lost
    assert lane.sums.numbers == {"resigned": 0, "given_up": 4, "false_resigns": 2}


def test_too_many_wrong_resignations_are_told_once_and_not_before_there_are_enough_games():
    sums = Sums()
    watch = FalseResigns(ActorConfig(resign_below=-0.9), sums, sums.notes.append)
    watch.count(resigned=0, played_out=39, false=39)
    assert sums.notes == []
    for _ in range(2):
        watch.count(resigned=0, played_out=1, false=0)
    assert sums.notes == [
        "of 40 training games that a player had given up and that were played out, 39 were not lost: 98 % of "
        "resignations are wrong, more than 5 %: lower actor.resign_below=-0.9, or raise actor.resign_moves=3"
    ]


@pytest.mark.parametrize(("false", "is_told"), [(2, False), (3, True)])
def test_more_than_five_percent_are_too_many(false, is_told):
    sums = Sums()
    FalseResigns(ActorConfig(resign_below=-0.9), sums, sums.notes.append).count(resigned=0, played_out=40, false=false)
    assert bool(sums.notes) == is_told


def played(tmp_path, monkeypatch, *overrides):
    """(plane, profile, records) of tic-tac-toe whose searches always find that the second player is lost."""
    profile = tiny_profile(*SETTINGS, *overrides)
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    advance = LanePlanner.advance

    def advance_with_values(planner):
        result = advance(planner)
        if result is not None:
            is_second_G = planner.observation[:, -1, 0, 0] > 0
            result = result._replace(root_value_B=np.where(is_second_G, LOW, 0.5).astype(np.float32))
        return result

    monkeypatch.setattr(LanePlanner, "advance", advance_with_values)
    server, actor = started_server(profile, plane), Actor(make_context(profile, plane, Role.ACTOR))
    actor.on_start()
    reader, records = RingReader(plane.trajectory_ring(0)), []
    while len(records) < 60:
        actor.do_work()
        server.do_work()
        if (record := reader.peek()) is not None:
            records.append(copied(record))
            reader.release()
    return plane, profile, records


def test_a_resigned_game_is_recorded_as_played_and_its_targets_are_those_of_a_lost_game(tmp_path, monkeypatch):
    plane, profile, records = played(tmp_path, monkeypatch, "actor.never_resign_fraction=1e-9")
    assert {(int(record.end[0]), int(record.length[0])) for record in records} == {(TRUNCATED, 4)}
    record = records[0]
    assert record.final_value[0] == 1.0  # of the first player, whose turn it would be
    assert record.steps.reward[:4].tolist() == [0, 0, 0, 0]
    assert record.steps.to_play[:4].tolist() == [0, 1, 0, 1]
    assert plane.counters(ACTOR).get("resigned") == plane.counters(ACTOR).get("episodes")
    shape = TableShape.of(profile.replay, describe_game(profile.game), profile.actor.trajectory_length)
    table = Table(shape)
    table.insert(record, actor=0, epoch=0)
    layout = RecordLayout.of(BatchSlot, dataclasses.replace(plane.shape, batch_size=2).sizes())
    slot = layout.record(bytearray(layout.nbytes))
    Gatherer(table, discount=-1.0, td_steps=9).fill(slot, np.array([0, 3]), np.array([9, 9]), 7)
    unrolls = slot.unrolls
    assert unrolls.value_target_BK1.tolist() == [[1, -1, 1, -1, 0, 0], [-1, 0, 0, 0, 0, 0]]
    assert unrolls.value_mask_BK1.tolist() == [[1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
    assert unrolls.reward_mask_BK.tolist() == [[1, 1, 1, 1, 0], [1, 0, 0, 0, 0]]
    assert not unrolls.reward_target_BK.any()


def test_games_that_are_drawn_to_be_played_out_end_by_the_rules(tmp_path, monkeypatch):
    plane, _, records = played(tmp_path, monkeypatch, "actor.never_resign_fraction=0.5")
    ends = [int(record.end[0]) for record in records]
    assert 10 < ends.count(TERMINATED) < 50
    assert all(record.length[0] > 4 for record, end in zip(records, ends, strict=True) if end == TERMINATED)
    counters = plane.counters(ACTOR)
    assert counters.get("given_up") >= ends.count(TERMINATED) and counters.get("resigned") >= ends.count(TRUNCATED)
    not_lost = [  # by the second player, who gives up: it made the last move and won, or nobody won
        record.steps.reward[record.length[0] - 1] == (record.length[0] % 2 == 0)
        for record, end in zip(records, ends, strict=True)
        if end == TERMINATED
    ]
    assert sum(map(bool, not_lost)) <= counters.get("false_resigns") <= counters.get("given_up")


def test_nobody_resigns_by_default(tmp_path, monkeypatch):
    overrides = [setting for setting in SETTINGS if "resign" not in setting]
    monkeypatch.setattr("tests.actor.test_resignation.SETTINGS", tuple(overrides))
    plane, _, records = played(tmp_path, monkeypatch)
    assert {int(record.end[0]) for record in records} == {TERMINATED}
    assert plane.counters(ACTOR).get("resigned") == 0
