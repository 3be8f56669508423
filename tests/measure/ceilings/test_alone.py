"""Every role alone: the work that its stand-ins give is real, and only its own time counts."""

import os
import signal

import numpy as np
import pytest
import torch

from mzpipe.errors import PlanError
from mzpipe.ipc.ring import RingWriter
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.launch.program import run_program
from mzpipe.launch.signals import SignalPipe
from mzpipe.measure.ceilings import program
from mzpipe.measure.ceilings.alone import Alone, roles_alone, stand_ins_of
from mzpipe.measure.ceilings.bare import BareModel, transitions_through_ring
from mzpipe.measure.ceilings.measure import PROGRAM
from mzpipe.measure.ceilings.noise import fill_trajectory
from mzpipe.measure.ceilings.program import measure_role, read_alone
from mzpipe.replay.store import fault_of
from mzpipe.runs.directory import save_profile
from tests.tiny import make_plane, tiny_profile

REANALYZING = ("reanalyze.fraction=0.5", "topology.trees_per_reanalyzer_lane=2")


@pytest.fixture
def profile():
    return tiny_profile(*REANALYZING)


@pytest.fixture
def plane(tmp_path, profile):
    (tmp_path / "plane").mkdir()
    return make_plane(tmp_path / "plane", profile)


def roles_of(plane):
    return {member.role for member in plane.shape.members()}


def test_every_role_but_the_evaluator_can_be_alone(plane, tmp_path):
    assert roles_alone(roles_of(plane)) == ["actor", "inference", "learner", "reanalyzer", "replay"]
    (tmp_path / "other").mkdir()
    assert "reanalyzer" not in roles_alone(roles_of(make_plane(tmp_path / "other", tiny_profile())))


@pytest.mark.parametrize("role", ["actor", "inference", "learner", "reanalyzer", "replay"])
def test_a_role_alone_works_in_all_its_stages(profile, role, tmp_path):
    result = measure_role(profile, role, 0.3, tmp_path)
    alone = result["alone"]
    alone["stages"].pop("publish", None)  # once in a hundred steps
    assert all(stage["items"] > 0 and stage["busy_s"] > 0.0 for stage in alone["stages"].values())
    assert 0.0 < alone["working_s"] <= 0.3 + 5.0
    assert alone["cpu_s"] > 0.0
    assert (result["below"] is None) == (role != "inference")
    assert list(tmp_path.iterdir()) == []


def test_time_of_the_stand_ins_is_not_the_roles_own(plane, profile):
    class Slow:
        def serve(self):
            now_ns[0] += 10**9

    class Quick:
        role = "actor"

        def do_work(self):
            now_ns[0] += 1000
            clock.end(Stage.ENV_STEP)
            for stage in (Stage.ROOT_SEARCH, Stage.TREE, Stage.TRAJECTORY_WRITE):
                clock.add(stage, 1)
            now_ns[0] += 500
            return 1

    now_ns, member = [0], Member("actor", 0)
    clock = plane.stage_clock(member)
    clock._now_ns = lambda: now_ns[0]
    alone = Alone(Quick(), plane, member, [Slow()])
    alone.warm_up()
    alone.run(0.1)
    result = alone.result()
    laps = result.stages["env step"].items
    assert laps > 0
    assert result.stages["env step"].busy_s == pytest.approx(laps * 1e-6)
    assert result.working_s == pytest.approx(laps * 1.5e-6)


def test_time_of_a_batch_that_is_on_a_device_over_several_laps_counts(plane, profile):
    """A GPU takes 3 us for a batch; a lap takes 1 us, and starts or answers one."""

    class Flying:
        role = "inference"

        def do_work(self):
            now_ns[0] += 1000
            if started_ns and now_ns[0] - started_ns[0] < 3000:
                clock.goes_on()
            elif started_ns:
                started_ns.clear()
                clock.add(Stage.INFERENCE_DEVICE, 1)
                clock.end(Stage.INFERENCE_REPLY)
            else:
                clock.end(Stage.INFERENCE_GATHER)
                started_ns.append(now_ns[0])
                clock.goes_on()
            return 1

    now_ns, started_ns, member = [0], [], Member("inference", 0)
    clock = plane.stage_clock(member)
    clock._now_ns = lambda: now_ns[0]
    alone = Alone(Flying(), plane, member, [])
    alone.warm_up()
    alone.run(0.1)
    result = alone.result()
    batches = result.stages["inference device"].items
    assert batches > 0
    assert result.stages["inference device"].busy_s == pytest.approx(batches * 3e-6, rel=1e-3)


def test_the_replay_server_takes_every_made_up_record(plane):
    ring = plane.trajectory_ring(0)
    slot = RingWriter(ring).claim()
    fill_trajectory(slot, np.random.default_rng(0))
    assert fault_of(slot) is None


def test_lanes_that_ask_alone_ask_what_a_search_could_ask(plane, profile):
    server, seen = plane.lane_server(0), []
    stand_ins = stand_ins_of(Member("inference", 0), plane, profile)
    searches = profile.search.num_simulations + 1
    for _ in range(2 * searches):
        for stand_in in stand_ins:
            stand_in.serve()
        pending = server.pending().tolist()
        block = server.block
        for lane in pending:
            rows, node = block["num_rows"][lane], int(block["node_index"][lane])
            seen.append((lane, node))
            if node:
                assert (block["parent_index"][lane, :rows] < node).all()
                assert (block["action"][lane, :rows] < plane.shape.num_actions).all()
        server.respond(np.array(pending))
    nodes = {lane: [node for each, node in seen if each == lane] for lane, _ in seen}
    search_lane, search, values = 0, list(range(searches)), [0, 0]
    assert nodes[search_lane] == 2 * search
    # Two lanes of the actor, then for every search of the reanalyzer its own lane and the one for values.
    assert [nodes[lane] for lane in sorted(nodes)] == [2 * search] * 2 + [2 * search, values] * 2


def test_the_bare_model_counts_whole_searches(plane, profile):
    bare = BareModel(profile, plane, 0, "cpu")
    bare.run(0.02)
    rows = 2 * 3 + 2 * 2  # two lanes of three trees, two searches of a reanalyzer of two
    assert bare.items > 0
    assert bare.items % (rows * (1 + profile.search.num_simulations)) == 0
    assert bare.seconds >= 0.02
    assert transitions_through_ring(plane, 0.02) > 0.0


def test_a_learner_of_two_ranks_is_measured_as_one_of_them(tmp_path):
    profile = tiny_profile('learner.devices=["cpu", "cpu"]')
    result = measure_role(profile, "learner", 0.2, tmp_path)
    assert result["alone"]["stages"]["learner optimiser"]["items"] > 0


def test_the_program_writes_what_the_caller_reads(profile, tmp_path):
    save_profile(profile, tmp_path / "profile.toml")
    assert run(tmp_path, "replay")
    alone, below = read_alone(tmp_path, "replay")
    assert alone.stages["sample"].items > 0
    assert below is None
    assert not (tmp_path / "death").exists()


def test_the_program_says_what_is_wrong_in_a_line(tmp_path):
    (tmp_path / "profile.toml").write_text("[search]\nnum_simulations = 0\n")
    with pytest.raises(PlanError, match=r"search\.num_simulations"):
        run(tmp_path, "actor")


def test_the_program_ends_with_75_and_the_fields_to_lower_when_the_device_is_full(
    profile, tmp_path, monkeypatch, capsys
):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has more to say.")

    save_profile(profile, tmp_path / "profile.toml")
    monkeypatch.setattr(program, "follow_supervisor", lambda *arguments: None)
    monkeypatch.setattr(program, "measure_role", full)
    assert program.main(*words(tmp_path, "inference", 0.2), "1") == 75
    said = "CUDA out of memory. Tried to allocate 20.00 MiB: lower topology.trees_per_lane"
    assert capsys.readouterr().err.startswith(said)


def test_a_signal_ends_the_program(profile, tmp_path):
    save_profile(profile, tmp_path / "profile.toml")
    with SignalPipe() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        assert not run_program(PROGRAM, words(tmp_path, "actor", 600), tmp_path, signals, what="actor")
    assert not (tmp_path / "alone-actor.json").exists()


def words(directory, role, seconds):
    return [str(directory / "profile.toml"), str(directory), role, str(seconds)]


def run(directory, role):
    with SignalPipe() as signals:
        return run_program(PROGRAM, words(directory, role, 0.2), directory, signals, what=role)
