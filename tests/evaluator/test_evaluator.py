"""The evaluator: whole games, one version, the best kept."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mzpipe.evaluator.episodes import GreedyEpisodes
from mzpipe.evaluator.evaluator import Evaluator
from mzpipe.games import make_game
from mzpipe.ipc.calls import LongCall
from mzpipe.ipc.control import LocalPort
from mzpipe.ipc.messages import Note
from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from mzpipe.nets import Model, restore_model
from mzpipe.own_code import allow_own_code
from mzpipe.planning import LanePlanner, greedy_search
from mzpipe.runs.checkpoint import CheckpointStore
from tests.tiny import EVALUATOR, make_context, make_plane, publish, random_model, started_server, tiny_profile

FAKE_ENGINE = Path(__file__).parent / "engines" / "fake_engine.py"


@pytest.mark.parametrize("episodes", [1, 3, 7])
def test_episodes_plays_exactly_as_many_whole_games_as_asked(tmp_path, episodes):
    profile = tiny_profile(f"evaluator.episodes={min(episodes, 3)}")
    plane = make_plane(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    (lane,) = plane.lane_clients(EVALUATOR)
    game = make_game(profile.game, plane.shape.evaluator_trees, 0, training=False)
    config = greedy_search(profile.search, 0)
    planner = LanePlanner(lane, config, num_trees=game.num_games, num_actions=2, seed=0)
    games = GreedyEpisodes(game, planner, episodes)
    assert games.finished
    games.begin()
    while not games.finished:
        games.do_work()
        server.do_work()
    assert len(games.results.returns) == episodes
    assert games.results.returns == [float(length) for length in games.results.lengths]  # CartPole pays 1 a move


def make_evaluator(tmp_path, profile):
    plane, port = make_plane(tmp_path, profile), LocalPort()
    evaluator = Evaluator(make_context(profile, plane, Role.EVALUATOR, directory=tmp_path, port=port))
    evaluator.on_start()
    return plane, evaluator, port


def evaluate(plane, evaluator, server, port):
    """Steps all agents until the next result, and keeps publishing new weights."""
    seed = 1000
    while not port.to_supervisor:
        evaluator.do_work()
        server.do_work()
        seed += 1
        if seed % 7 == 0:
            publish(plane, random_model(tiny_profile(), plane, seed))
    return port.to_supervisor.popleft()


@pytest.mark.parametrize("laps", [2, 40])
def test_evaluator_plays_all_games_anew_when_the_next_server_has_other_weights(tmp_path, laps):
    plane, evaluator, port = make_evaluator(tmp_path, tiny_profile("evaluator.interval_steps=10"))
    publish(plane, random_model(tiny_profile(), plane, 0))
    server = started_server(tiny_profile(), plane)
    plane.counters(Member(Role.LEARNER, 0)).set("learner_steps", 10)
    for _ in range(laps):
        evaluator.do_work()
        server.do_work()
    version = publish(plane, random_model(tiny_profile(), plane, 1))
    server = started_server(tiny_profile(), plane)
    begun = []
    begin = evaluator._episodes.begin
    evaluator._episodes.begin = lambda: (begun.append(1), begin())
    while not port.to_supervisor:
        evaluator.do_work()
        server.do_work()
    message = port.to_supervisor.popleft()
    assert (message.weights_version, message.episodes) == (version, 3)
    assert begun == [1]


def test_evaluator_waits_for_its_interval_and_reports_one_version(tmp_path):
    profile = tiny_profile("evaluator.interval_steps=10")
    plane, evaluator, port = make_evaluator(tmp_path, profile)
    version = publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    server.do_work()
    assert evaluator.do_work() == 0
    plane.counters(plane.shape.members()[0]).set("learner_steps", 10)
    message = evaluate(plane, evaluator, server, port)
    assert message.weights_version == version
    assert message.episodes == 3
    assert message.is_best
    assert np.isfinite(message.return_mean)


def test_evaluator_declares_other_peoples_games_as_calls_that_may_take_long(tmp_path, monkeypatch):
    monkeypatch.setattr("mzpipe.evaluator.evaluator.is_others_code", lambda game: True)
    profile = tiny_profile("evaluator.interval_steps=10")
    plane, evaluator, port = make_evaluator(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    plane.counters(plane.shape.members()[0]).set("learner_steps", 10)
    calls, counters = {}, plane.counters(EVALUATOR)
    for name in ("reset", "step", "legal_actions"):
        method = getattr(evaluator._game, name)

        def noted(*arguments, name=name, method=method):
            calls.setdefault(name, set()).add(counters.get("long_call"))
            return method(*arguments)

        monkeypatch.setattr(evaluator._game, name, noted)
    evaluate(plane, evaluator, started_server(profile, plane), port)
    assert calls == {name: {LongCall.GAME} for name in ("reset", "step", "legal_actions")}
    assert counters.get("long_call") == LongCall.NONE


def test_evaluator_says_once_that_a_game_seems_to_have_no_end(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "mzpipe.evaluator.episodes.endless_note", lambda moves, ended: f"{moves}" if moves > 2 else None
    )
    profile = tiny_profile("evaluator.interval_steps=10")
    plane, evaluator, port = make_evaluator(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    plane.counters(plane.shape.members()[0]).set("learner_steps", 10)
    messages = [evaluate(plane, evaluator, server, port) for _ in range(2)]
    assert messages[0] == Note("3") and messages[1].episodes == 3


def test_evaluator_saves_exactly_the_weights_it_played_with(tmp_path):
    profile = tiny_profile("evaluator.interval_steps=10")
    plane, evaluator, port = make_evaluator(tmp_path, profile)
    played = random_model(profile, plane, 0)
    publish(plane, played)
    server = started_server(profile, plane)
    server.do_work()
    plane.counters(plane.shape.members()[0]).set("learner_steps", 10)
    evaluate(plane, evaluator, server, port)
    checkpoint = CheckpointStore(tmp_path / "checkpoints").load("best")
    assert (checkpoint.state["game"], checkpoint.state["protocol"]) == ("CartPole-v1", "greedy")
    restored = Model(profile.network, plane.shape.observation_shape, plane.shape.num_actions)
    restore_model(restored, checkpoint)
    for name, tensor in played.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), restored.state_dict()[name].numpy())


def test_evaluator_keeps_the_former_best_when_a_result_is_worse(tmp_path):
    profile = tiny_profile("evaluator.interval_steps=10")
    plane, evaluator, port = make_evaluator(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    evaluator._best._return_mean = 1e9
    plane.counters(plane.shape.members()[0]).set("learner_steps", 10)
    assert not evaluate(plane, evaluator, server, port).is_best
    assert not (tmp_path / "checkpoints" / "best").exists()


def test_evaluation_is_given_up_with_a_note_when_the_engine_crashes_and_the_next_one_is_played(tmp_path, monkeypatch):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    allow_own_code(True)
    crash_once = tmp_path / "crash"
    crash_once.write_text("")
    # A shell that lets the engine crash as long as the file is there.
    script = f'test -e {crash_once} && exec "$0" "$1" crash; exec "$0" "$1"'
    command = ["sh", "-c", script, sys.executable, str(FAKE_ENGINE)]
    settings = ["game.name=go", "game.board.size=3", "game.max_episode_moves=12", "search.discount=1.0"]
    settings += ["evaluator.opponent=engine", f"evaluator.opponent_command={json.dumps(command)}"]
    profile = tiny_profile(*settings, "evaluator.interval_steps=10")
    plane, evaluator, port = make_evaluator(tmp_path, profile)
    publish(plane, random_model(profile, plane, 0))
    server = started_server(profile, plane)
    learner = plane.counters(Member(Role.LEARNER, 0))
    learner.set("learner_steps", 10)
    note = next_message(evaluator, server, port)
    assert isinstance(note, Note)
    assert "it ended with exit code 3" in note.text and "the next one is due at step 20" in note.text
    crash_once.unlink()
    learner.set("learner_steps", 20)
    message = next_message(evaluator, server, port)
    assert (message.protocol, message.episodes) == ("greedy-versus-engine-sh", profile.evaluator.episodes)
    process = evaluator._episodes._opponent._program._process
    evaluator.on_close()
    assert process.returncode is not None


def next_message(evaluator, server, port):
    for _ in range(50_000):
        evaluator.do_work()
        server.do_work()
        if port.to_supervisor:
            return port.to_supervisor.popleft()
    raise AssertionError("no message")
