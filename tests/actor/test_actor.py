"""The actor over a real server and ring: what it records is what it played."""

import contextlib

import numpy as np
import pytest

from mzpipe.actor.actor import Actor
from mzpipe.actor.recorder import Recorder
from mzpipe.games import make_game
from mzpipe.games.gymnasium_family import GymnasiumGame
from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.columns import copied
from mzpipe.ipc.ring import RingReader, RingWriter
from mzpipe.ipc.roles import Role
from mzpipe.ipc.schema import TERMINATED
from mzpipe.planning import LanePlanner, derive_seed
from tests.tiny import ACTOR, make_context, make_plane, publish, random_model, started_server, tiny_profile


def play(tmp_path, num_records, *overrides, epoch=0):
    """(plane, copies of the records) of an actor with a random model."""
    profile = tiny_profile(*overrides)
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server, actor = started_server(profile, plane), Actor(make_context(profile, plane, Role.ACTOR, epoch=epoch))
    actor.on_start()
    reader, records = RingReader(plane.trajectory_ring(0)), []
    while len(records) < num_records:
        actor.do_work()
        server.do_work()
        record = reader.peek()
        if record is not None:
            records.append(copied(record))
            assert reader.epoch() == epoch
            reader.release()
    return plane, records


def started(tmp_path):
    """A tiny run's plane, with an inference server and an actor that have been started."""
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server, actor = started_server(profile, plane), Actor(make_context(profile, plane, Role.ACTOR))
    actor.on_start()
    return plane, server, actor


def test_actor_records_replay_to_the_same_game(tmp_path):
    """The recorded actions, played again from the game's seed, give the recorded frames and rewards."""
    _, records = play(tmp_path, 60)
    first_lane = [record for record in records if record.game[0] < 3]
    game = make_game(tiny_profile().game, 3, derive_seed(0, "actor", 0, 0, 0, 0, "game"))
    steps = {}
    for record in first_lane:
        key, offset = int(record.game[0]), int(record.offset[0])
        if record.episode[0] == 0:
            for place in range(int(record.length[0])):
                steps[key, offset + place] = (record.frame[place], int(record.steps.action[place]))
    frames = game.reset()
    moves = min(max(move for key, move in steps if key == each) for each in range(3)) + 1
    assert moves >= 5
    for move in range(moves):
        for each in range(3):
            np.testing.assert_array_equal(frames[each], steps[each, move][0])
        frames = game.step(np.array([steps[each, move][1] for each in range(3)], np.int32)).frame_BF


def test_actor_records_policies_values_and_versions(tmp_path):
    _, records = play(tmp_path, 10, epoch=3)
    for record in records:
        length = int(record.length[0])
        np.testing.assert_allclose(record.steps.search_policy[:length].sum(1), 1.0, rtol=1e-6)
        assert np.isfinite(record.steps.root_value[:length]).all()
        assert (record.steps.weights_version[:length] == 1).all()
        assert (record.steps.reward[:length] == 1.0).all()
        assert (record.final_value[0] == 0.0) == (record.end[0] == TERMINATED)


def test_actor_bootstraps_a_cut_from_the_next_state_without_the_reward_before_it(tmp_path, monkeypatch):
    """Q(s, a) = r + discount * V(s'), with the search's own Q."""
    choose, add, q_of_moves, added = LanePlanner.choose, Recorder.add, [], []

    def note_q(planner, result, *rest):
        action_G = choose(planner, result, *rest)
        q_of_moves.append(result.q_BA[np.arange(len(action_G)), action_G])
        return action_G

    def note_next_value(recorder, frames, steps, terminated, truncated, next_value_G):
        added.append((steps.reward.copy(), next_value_G.copy()))
        add(recorder, frames, steps, terminated, truncated, next_value_G)

    monkeypatch.setattr(LanePlanner, "choose", note_q)
    monkeypatch.setattr(Recorder, "add", note_next_value)
    play(tmp_path, 2)
    discount = tiny_profile().search.discount
    for q_G, (reward_G, next_value_G) in zip(q_of_moves, added, strict=True):
        np.testing.assert_allclose(reward_G + discount * next_value_G, q_G, rtol=1e-5)


def test_actor_counts_moves_simulations_and_episodes(tmp_path):
    plane, records = play(tmp_path, 40)
    counters = plane.counters(ACTOR)
    assert counters.get("simulations") == 4 * counters.get("env_steps")
    ended = [record for record in records if record.end[0] == TERMINATED]
    assert counters.get("episodes") >= len(ended) > 0
    assert counters.get("episode_length") == counters.value("episode_return")


CAPS = ("actor.fast_simulations=1", "actor.full_search_fraction=0.4")


def test_actor_records_no_policy_where_a_lane_drew_a_capped_search(tmp_path):
    _, records = play(tmp_path, 60, *CAPS)
    is_full = {}  # by lane and move of its games, which all begin together
    moves = {}
    for record in records:
        game, length = int(record.game[0]), int(record.length[0])
        np.testing.assert_array_equal(record.steps.root_value[:length] != 0.0, True)
        for sum_ in record.steps.search_policy[:length].sum(1):
            move = moves[game] = moves.get(game, -1) + 1
            is_full.setdefault((game // 3, move), set()).add(round(float(sum_), 5))
    assert all(len(each) == 1 for each in is_full.values())
    kinds = [each.pop() for each in is_full.values()]
    assert set(kinds) == {0.0, 1.0}
    assert 0.2 < np.mean(kinds) < 0.6


def test_actor_counts_the_simulations_of_full_and_capped_searches(tmp_path):
    profile = tiny_profile(*CAPS, "topology.trajectory_ring_slots=512")
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server, actor = started_server(profile, plane), Actor(make_context(profile, plane, Role.ACTOR))
    actor.on_start()
    for _ in range(200):
        actor.do_work()
        server.do_work()
    assert actor.drain()
    reader, sums = RingReader(plane.trajectory_ring(0)), []
    while (record := reader.peek()) is not None:
        sums += record.steps.search_policy[: record.length[0]].sum(1).round(3).tolist()
        reader.release()
    counters = plane.counters(ACTOR)
    assert len(sums) == counters.get("env_steps")
    assert counters.get("simulations") == 4 * sums.count(1.0) + sums.count(0.0)
    assert sums.count(1.0) and sums.count(0.0)


def test_actor_stops_playing_and_counts_it_when_the_ring_is_full(tmp_path):
    plane, server, actor = started(tmp_path)
    for _ in range(3_000):
        actor.do_work()
        server.do_work()
    counters = plane.counters(ACTOR)
    assert counters.get("env_steps") < 100
    assert counters.get("wait_out") > 0


def test_actor_hands_over_every_move_it_has_played_when_the_ring_was_full_at_the_stop(tmp_path):
    plane, server, actor = started(tmp_path)
    while not plane.counters(ACTOR).get("wait_out"):
        actor.do_work()
        server.do_work()
    reader, taken = RingReader(plane.trajectory_ring(0)), 0
    while (is_done := actor.drain()) is False or reader.peek() is not None:
        taken += int(reader.peek().length[0])
        reader.release()
    assert (is_done, taken) == (True, plane.counters(ACTOR).get("env_steps"))


@pytest.mark.parametrize("point", ["Recorder.add", "RingWriter.commit", "Actor._count"])
def test_moves_in_the_memory_of_a_killed_actor_are_all_that_is_counted_and_never_arrives(tmp_path, monkeypatch, point):
    profile = tiny_profile()
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server, reader = started_server(profile, plane), RingReader(plane.trajectory_ring(0))
    owner, name = point.split(".")
    owner, calls, taken = {"Recorder": Recorder, "RingWriter": RingWriter, "Actor": Actor}[owner], [], 0
    act = getattr(owner, name)

    def act_until_the_kill(*arguments, **options):
        calls.append(1)
        if len(calls) == 12:
            raise ZeroDivisionError
        return act(*arguments, **options)

    def take():
        length = 0
        while (record := reader.peek()) is not None:
            length += int(record.length[0])
            reader.release()
        return length

    killed = Actor(make_context(profile, plane, Role.ACTOR))
    killed.on_start()
    with monkeypatch.context() as killing, contextlib.suppress(ZeroDivisionError):
        killing.setattr(owner, name, act_until_the_kill)
        while True:
            killed.do_work()
            server.do_work()
            taken += take()
    taken += take()
    lost = plane.counters(ACTOR).get("env_steps") - taken
    assert 0 <= lost <= 6 * 5  # at most what its games hold
    plane.release_lanes(ACTOR)
    successor = Actor(make_context(profile, plane, Role.ACTOR, epoch=1))
    successor.on_start()
    for _ in range(300):
        successor.do_work()
        server.do_work()
        taken += take()
    while not successor.drain():
        taken += take()
    assert plane.counters(ACTOR).get("env_steps") - taken - take() == lost


def test_actor_plays_in_all_its_lanes_alike_when_the_ring_has_room_for_one_record_at_a_time(tmp_path):
    plane, server, actor = started(tmp_path)
    reader, lanes = RingReader(plane.trajectory_ring(0)), []
    for _ in range(48):
        for _ in range(200):  # records wait in every lane, whichever lane wrote last
            actor.do_work()
            server.do_work()
        lanes.append(int(reader.peek().game[0]) // 3)
        reader.release()
    assert abs(sum(lanes[8:]) - 20) <= 1


@pytest.mark.parametrize(("is_others", "call"), [(True, LongCall.GAME), (False, LongCall.NONE)])
def test_actor_declares_every_call_of_other_peoples_game_as_one_that_may_take_long(
    tmp_path, monkeypatch, is_others, call
):
    monkeypatch.setattr("mzpipe.actor.actor.is_others_code", lambda game: is_others)
    calls, names = {}, ("reset", "step", "legal_actions", "to_play")
    for name in names:
        method = getattr(GymnasiumGame, name)

        def noted(game, *arguments, name=name, method=method):
            calls.setdefault(name, set()).add(plane.counters(ACTOR).get("long_call"))
            return method(game, *arguments)

        monkeypatch.setattr(GymnasiumGame, name, noted)
    plane, server, actor = started(tmp_path)
    reader = RingReader(plane.trajectory_ring(0))
    while not plane.counters(ACTOR).get("episodes"):
        actor.do_work()
        server.do_work()
        assert plane.counters(ACTOR).get("long_call") == LongCall.NONE
        if reader.peek() is not None:
            reader.release()
    assert calls == {name: {call} for name in names}


def test_actor_lowers_the_temperature_with_training_progress(tmp_path):
    profile = tiny_profile("actor.temperatures=[1.0,0.5,0.25]", "actor.temperature_fractions=[0.0,0.5,0.75]")
    plane = make_plane(tmp_path, profile)  # stop.learner_steps 10
    actor = Actor(make_context(profile, plane, Role.ACTOR))
    learner = plane.counters(plane.shape.members()[0])
    temperatures = []
    for steps in (0, 4, 5, 7, 8, 10):
        learner.set("learner_steps", steps)
        temperatures.append(actor._temperature())
    assert temperatures == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]


def test_actor_records_whose_turn_it_was_and_the_outcome_for_the_player_who_ended_the_game(tmp_path):
    _, records = play(tmp_path, 40, "game.name=tic_tac_toe", "actor.trajectory_length=9")
    ended = [record for record in records if record.end[0] == TERMINATED]
    assert len(ended) >= 20
    outcomes = set()
    for record in ended:
        length = int(record.length[0])
        assert record.steps.to_play[:length].tolist() == [move % 2 for move in range(length)]
        assert not record.steps.reward[: length - 1].any()
        assert record.steps.legal_actions[:length].sum(1).tolist() == list(range(9, 9 - length, -1))
        assert record.steps.legal_actions[np.arange(length), record.steps.action[:length]].all()
        assert (record.steps.search_policy[:length][~record.steps.legal_actions[:length]] == 0.0).all()
        outcomes.add(float(record.steps.reward[length - 1]))
    assert outcomes <= {0.0, 1.0} and 1.0 in outcomes  # no move loses the game for the player who makes it


def test_actor_plays_the_most_visited_action_after_the_sampled_moves(tmp_path):
    _, records = play(tmp_path, 60, "game.name=tic_tac_toe", "actor.trajectory_length=9", "actor.temperature_moves=3")
    sampled, greedy = [], []
    for record in records:
        for place in range(int(record.length[0])):
            policy = record.steps.search_policy[place]
            is_best = policy[record.steps.action[place]] == policy.max()
            (sampled if record.offset[0] + place < 3 else greedy).append(is_best)
    assert all(greedy) and len(greedy) > 100
    assert not all(sampled)
