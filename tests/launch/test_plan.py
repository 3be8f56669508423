"""The plan: sizes equal to those of the real files, and a check that refuses what does not fit."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mzpipe.config import load_profile
from mzpipe.errors import ConfigError, PlanError
from mzpipe.games import describe_game
from mzpipe.ipc.columns import RecordLayout
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.schema import BatchSlot
from mzpipe.launch import plan as module
from mzpipe.launch.plan import ModelSizes, make_plan, mebibytes, plan_lines
from mzpipe.launch.rehearsal import describe_model
from mzpipe.launch.roles import Devices
from mzpipe.search import BatchedSearch
from tests.tiny import tiny_profile

GIB = 1 << 30
PROFILES = Path(__file__).parents[2] / "profiles"


@pytest.fixture
def machine(monkeypatch):
    """Sets the free bytes that the plan sees: in /dev/shm, and of memory."""

    def set_free(shared, memory):
        monkeypatch.setattr(module.os, "statvfs", lambda path: SimpleNamespace(f_bavail=shared, f_frsize=1, f_flag=0))
        monkeypatch.setattr(module, "available_memory_bytes", lambda: memory)
        monkeypatch.setattr(module, "leftover_bytes", lambda: 0)  # another test may just have killed a run

    return set_free


def planned(*overrides, inference=("cpu",), weights_bytes=4000):
    profile = tiny_profile(*overrides)
    return make_plan(
        profile, describe_game(profile.game), Devices(("cpu",), inference), ModelSizes(weights_bytes, weights_bytes)
    )


def test_check_passes_when_everything_fits_exactly(machine):
    plan = planned()
    machine(plan.segment_bytes(), plan.memory_bytes())
    plan.check()


def test_check_says_what_is_needed_and_free_when_shared_memory_is_small(machine):
    plan = planned("topology.trajectory_ring_slots=4096")
    machine(plan.segment_bytes() - 1, 100 * GIB)
    needed = re.escape(mebibytes(plan.segment_bytes()))
    mend = "lower topology.trajectory_ring_slots, .* or enlarge /dev/shm$"
    with pytest.raises(PlanError, match=rf"^/dev/shm: the run needs {needed}, {needed} are free: {mend}"):
        plan.check()


def test_check_says_what_is_needed_and_free_when_memory_is_small(machine):
    plan = planned("replay.capacity_bytes=1000000000000")
    machine(GIB, GIB)
    with pytest.raises(PlanError, match=r"^memory: the run needs 95[\d,.]+ MiB, 1,024.0 MiB are free: lower replay"):
        plan.check()


def test_memory_counts_segments_replay_and_every_process():
    assert (
        planned("replay.capacity_bytes=1065536").memory_bytes() - planned("replay.capacity_bytes=65536").memory_bytes()
        == 1_000_000
    )
    more = planned("topology.actors=2").memory_bytes() - planned().memory_bytes()
    shared = planned("topology.actors=2").segment_bytes() - planned().segment_bytes()
    trees = planned("topology.actors=2").search_bytes() - planned().search_bytes()
    observations = (
        2 * 3 * 4 * 4
    )  # two lanes of three trees, four float32 each, where the inference server gathers roots
    assert more - shared - trees == (80 << 20) + observations


def test_memory_counts_openvino_where_convolutions_run():
    residual = planned("network.kind=residual", "network.downsample=none").memory_bytes()
    assert residual - planned().memory_bytes() == 78 << 20


def test_memory_grows_with_the_model_the_batch_and_the_emulators():
    def total(model, *overrides, bytes_per_game=0):
        plan = planned(*overrides)
        return replace(plan, model=model, game=replace(plan.game, bytes_per_game=bytes_per_game)).memory_bytes()

    nothing = total(ModelSizes())
    assert total(ModelSizes(weights=1000)) - nothing == 1000 * (2 * 3 + 1)
    assert total(ModelSizes(training_weights=1000)) - nothing == 1000 * 6
    assert total(ModelSizes(unroll_outputs=1000)) - nothing == 1000 * 2 * 4
    rows = 3 * 3  # two lanes of the actor, one of the evaluator, each with room for three trees
    assert total(ModelSizes(root_outputs=1000)) - nothing == 1000 * rows
    assert total(ModelSizes(hidden_state=1000)) - nothing == 1000 * (rows * (1 + 4) + 2 * rows)
    assert total(ModelSizes(), bytes_per_game=1000) - nothing == 1000 * (2 * 3 + 3)


def test_plan_says_what_the_replay_table_holds_and_what_its_journal_may_take():
    plain = "\n".join(plan_lines(planned("replay.capacity_bytes=1000000")))
    assert re.search(r"memory    replay 1.0 MiB: 7,751 transitions of 129 bytes", plain)
    assert re.search(r"disk      journal at most \d", plain)
    tiered = "\n".join(plan_lines(planned("replay.compressed_bytes=1000000", "replay.journal=false")))
    assert re.search(r"replay, compressed 1.0 MiB: up to [\d,]+ more transitions, if their frames shrink 16", tiered)
    assert "journal" not in tiered


def test_plan_prints_what_every_inference_server_keeps_on_its_device():
    plan = planned("search.num_simulations=9", inference=("cpu", "cuda:1"))
    plan = replace(plan, model=ModelSizes(weights=1 << 20, hidden_state=1 << 10))
    lines = [line for line in plan_lines(plan) if "hidden states" in line]
    # Three lanes of three trees with ten nodes each, the evaluator's among them; the second server has no actor.
    first = "memory    inference-0 on cpu: 90 hidden states of 1,024 bytes, 0.1 MiB; 3 models, 3.0 MiB"
    assert lines == [
        first,
        "memory    inference-1 on cuda:1: 0 hidden states of 1,024 bytes, 0.0 MiB; 3 models, 3.0 MiB",
    ]


def test_check_refuses_a_table_that_cannot_hold_two_trajectories(machine):
    plan = planned("replay.capacity_bytes=65536", "actor.trajectory_length=400", "replay.max_insert_lead=1000")
    machine(100 * GIB, 100 * GIB)
    with pytest.raises(ConfigError, match=r"replay.capacity_bytes=65536: holds \d+ transitions of 129 bytes, fewer"):
        plan.check()


@pytest.mark.parametrize("codes", [0, 5])
def test_search_bytes_are_those_of_the_trees_that_actors_and_evaluator_allocate(codes):
    chance = f"network.chance_codes={codes}"
    plan = planned("topology.actors=3", "topology.lanes_per_actor=2", "evaluator.num_simulations=9", chance)
    evaluation = replace(plan.profile.search, num_simulations=9)
    sizes = [(plan.profile.search, plan.shape.trees_per_lane)] * 6 + [(evaluation, plan.shape.evaluator_trees)]
    searches = [BatchedSearch(config, batch_size=trees, num_actions=2, num_codes=codes) for config, trees in sizes]
    assert plan.search_bytes() == sum(search._arena.nbytes for search in searches)


def test_plan_prints_the_size_that_every_segment_file_has(tmp_path):
    plan = planned("topology.actors=2", "reanalyze.fraction=0.5", inference=("cpu", "cpu"))
    DataPlane.create(tmp_path, plan.shape)
    printed = {
        words[1]: int(words[4].replace(",", "")) for line in plan_lines(plan) if (words := line.split())[0] == "segment"
    }
    files = {path.name: path.stat().st_size for path in tmp_path.iterdir() if path.name != "shape.json"}
    assert printed == files
    assert len(printed) == 15
    assert sum(printed.values()) == plan.segment_bytes()


def test_plan_prints_role_device_cores_and_threads_of_every_process():
    lines = plan_lines(planned("inference.num_threads=2", "topology.external=actor", inference=("cuda:0", "cuda:1")))
    processes = [line.split(maxsplit=2)[1:] for line in lines if line.startswith("process")]
    assert processes == [
        ["learner-0", "cpu     any core, 1 thread"],
        ["inference-0", "cuda:0  any core, 2 threads"],
        ["inference-1", "cuda:1  any core, 2 threads"],
        ["replay-0", "cpu     any core, 1 thread"],
        ["actor-0", "cpu     any core, 1 thread, started by hand"],
        ["evaluator-0", "cpu     any core, 1 thread"],
    ]


def test_plan_says_the_sums(machine):
    plan = planned()
    assert plan_lines(plan)[-1] == (
        f"memory    /dev/shm {mebibytes(plan.segment_bytes())}, in all about {mebibytes(plan.memory_bytes())}"
    )


MIB = 1 << 20
CONTEXT, CUDA_ON_HOST = 600 * MIB, 1_200 * MIB


def on_gpus(*overrides, learner=("cuda:0",), inference=("cuda:0",), memory=None, uuids=None, **sizes):
    plan, devices = planned(*overrides), Devices(learner, inference, memory or {}, uuids or {})
    return make_plan(plan.profile, plan.game, devices, ModelSizes(**sizes))


def test_a_gpu_holds_what_its_processes_compute_with_and_a_context_each():
    def taken(role, **sizes):
        return on_gpus(**sizes).device_bytes()["cuda:0"][role]

    # For roots and children of two batches in flight, for three models, with 1, 2, 4, 8 and 9 rows.
    rows, graphs = 3 * 3, 2 * 2 * 3 * 5
    slot = on_gpus().shape.sizes()
    nothing = taken("learner")
    batch = RecordLayout.of(BatchSlot, slot).nbytes
    assert nothing == CONTEXT + 3 * batch
    assert on_gpus("learner.cuda_graphs=true").device_bytes()["cuda:0"]["learner"] - nothing == batch
    assert taken("learner", training_weights=1000) - nothing == 1000 * 6
    assert taken("learner", unroll_outputs=1000) - nothing == 1000 * 2 * 4
    captured = [on_gpus("learner.cuda_graphs=true", unroll_outputs=size).device_bytes() for size in (0, 1000)]
    grown, least = (each["cuda:0"]["learner"] for each in reversed(captured))
    assert grown - least == 2 * 1000 * 2 * 4  # in the graph, and in a checkpoint's trial without it
    observations = 4 * 4 * rows
    assert taken("inference") == CONTEXT + observations + graphs * MIB
    assert taken("inference", hidden_state=1000) - taken("inference") == 1000 * (rows * (1 + 4) + 2 * rows)
    assert taken("inference", weights=1000) - taken("inference") == 1000 * 2 * 3


def test_the_host_holds_only_the_libraries_and_the_copies_of_processes_on_gpus():
    host = on_gpus().memory_bytes() - planned(weights_bytes=0).memory_bytes()
    assert host == 2 * CUDA_ON_HOST
    grown = on_gpus(weights=1000, training_weights=1000, hidden_state=1 << 30, unroll_outputs=1 << 30).memory_bytes()
    # The published copy, the evaluator's, the learner's checkpoint; segments hold the weights too.
    segments = on_gpus(weights=1000).segment_bytes() - on_gpus().segment_bytes()
    assert grown - on_gpus().memory_bytes() == segments + 1000 * (1 + 1 + 4)


def test_processes_on_one_gpu_add_up_and_those_on_cpus_take_none():
    both, apart = on_gpus().device_bytes(), on_gpus(learner=("cuda:1",)).device_bytes()
    assert list(both) == ["cuda:0"] and list(apart) == ["cuda:0", "cuda:1"]
    assert both["cuda:0"] == {"learner": apart["cuda:1"]["learner"], "inference": apart["cuda:0"]["inference"]}
    assert not planned().device_bytes()


@pytest.mark.parametrize(
    ("sizes", "lower"),
    [
        ({"unroll_outputs": GIB}, "learner.batch_size, learner.num_unroll_steps or the network's sizes"),
        ({"hidden_state": GIB}, "topology.trees_per_lane, topology.lanes_per_actor or search.num_simulations"),
    ],
)
def test_check_refuses_what_a_gpu_cannot_hold_and_names_the_fields_of_the_larger_part(machine, sizes, lower):
    machine(100 * GIB, 100 * GIB)
    needed = sum(on_gpus(**sizes).device_bytes()["cuda:0"].values())
    on_gpus(**sizes, memory={"cuda:0": needed}).check()
    fault = f"cuda:0: the run needs {mebibytes(needed)} of its memory (learner "
    with pytest.raises(PlanError, match=rf"^{re.escape(fault)}.*, it has .*: lower {re.escape(lower)}, or give"):
        on_gpus(**sizes, memory={"cuda:0": needed - 1}).check()


def test_check_refuses_what_does_not_fit_beside_other_programs_on_a_gpu(machine, monkeypatch):
    machine(100 * GIB, 100 * GIB)
    plan = on_gpus(memory={"cuda:0": 140 * GIB}, uuids={"cuda:0": "GPU-1"}, hidden_state=GIB)
    needed, free = sum(plan.device_bytes()["cuda:0"].values()), {}
    monkeypatch.setattr(module, "free_memory", lambda uuids: {"cuda:0": free[uuids["cuda:0"]]})
    free["GPU-1"] = needed
    plan.check()
    assert f"MiB of {mebibytes(140 * GIB)}, {mebibytes(needed)} free: " in "\n".join(plan_lines(plan))
    free["GPU-1"] -= 1
    with pytest.raises(PlanError) as refusal:
        plan.check()
    said = str(refusal.value)
    assert said.startswith(f"cuda:0: the run needs {mebibytes(needed)} of its memory (learner ")
    assert said.endswith(
        f"), {mebibytes(needed - 1)} of {mebibytes(140 * GIB)} are free: end what else uses it (nvidia-smi), or lower "
        "topology.trees_per_lane, topology.lanes_per_actor or search.num_simulations, or give learner and inference a "
        "device each"
    )
    assert refusal.value.exit_code == 2


def test_check_refuses_a_host_that_cannot_hold_a_gpus_run(machine):
    plan = on_gpus(memory={"cuda:0": 100 * GIB})
    machine(100 * GIB, plan.memory_bytes() - 1)
    with pytest.raises(PlanError, match=r"^memory: the run needs"):
        plan.check()


def test_plan_prints_what_each_gpu_holds():
    lines = [line for line in plan_lines(on_gpus(memory={"cuda:0": GIB})) if "cuda:0 about" in line]
    assert len(lines) == 1
    assert re.fullmatch(
        r"memory    cuda:0 about [\d.,]+ MiB of 1,024.0 MiB: learner [\d.]+ MiB, inference .*", lines[0]
    )


@pytest.mark.parametrize(
    "choice", ["network.mean_image=true", "learner.augment_shift=2", "learner.augment_intensity=0.5"]
)
def test_check_refuses_what_is_for_images_when_the_game_has_none(choice):
    plan = planned("network.kind=residual", choice)
    fault = rf"{choice}: CartPole-v1 has float32 frames of shape \(4,\), not images of bytes: leave it out$"
    with pytest.raises(ConfigError, match=fault):
        plan.check()


def test_check_takes_augmentation_when_the_game_has_images(machine):
    plan = planned(
        "game.name=Pong", "network.kind=residual", "learner.augment_shift=2", "learner.augment_intensity=0.5"
    )
    machine(100 * GIB, 100 * GIB)
    plan.check()


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        (["game.name=CartPole-v1"], "CartPole-v1 declares no symmetries"),
        (["game.name=chess", "network.kind=residual"], "chess declares no symmetries"),
        (
            ["game.name=Pong", "network.kind=residual", "game.action_planes=true"],
            "Pong declares no symmetries, and action planes turn with none",
        ),
    ],
)
def test_check_refuses_symmetries_when_the_game_declares_none(overrides, why):
    with pytest.raises(ConfigError, match=rf"learner.symmetries=true: {why}: leave it out$"):
        planned("learner.symmetries=true", *overrides).check()


def test_check_takes_the_symmetries_of_a_game_that_declares_some(machine):
    plan = planned("learner.symmetries=true", "game.name=connect_four", "network.kind=residual")
    machine(100 * GIB, 100 * GIB)
    plan.check()


@pytest.mark.parametrize("fast", [4, 9])
def test_check_refuses_caps_that_cap_nothing(fast):
    fault = rf"actor.fast_simulations={fast}: a full search has search.num_simulations=4: lower the first below it, or"
    with pytest.raises(ConfigError, match=fault):
        planned(f"actor.fast_simulations={fast}").check()


def test_plan_has_room_for_the_trees_of_fast_searches(machine):
    plain, capped = (
        planned("search.num_simulations=50"),
        planned("search.num_simulations=50", "actor.fast_simulations=49"),
    )
    assert plain.search_bytes() < capped.search_bytes() < 2 * plain.search_bytes()
    machine(100 * GIB, 100 * GIB)
    capped.check()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("CartPole-v1", "has one player"),
        ("tests.games.own_games:Nim", "may have other rewards than an outcome of 1, 0 or -1"),
        ("OpenSpiel/dots_and_boxes(utility_margin=true)", "may have other rewards than an outcome of 1, 0 or -1"),
    ],
)
def test_check_refuses_to_resign_games_without_an_outcome(monkeypatch, name, why):
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    with pytest.raises(ConfigError, match=rf"actor.resign_below=-0.9: {re.escape(name)} {why}: leave it out$"):
        planned("actor.resign_below=-0.9", f"game.name={name}").check()


@pytest.mark.parametrize("name", ["chess", "OpenSpiel/breakthrough(rows=6,columns=6)"])
def test_check_takes_resignation_where_the_outcome_comes_at_the_end(machine, name):
    plan = planned("actor.resign_below=-0.9", f"game.name={name}")
    machine(100 * GIB, 100 * GIB)
    plan.check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["atari-pong-gpu", "atari100k", "atari100k-v2"])
def test_profile_for_one_gpu_fits_the_machine_that_it_is_planned_for(machine, name):
    """An H200 of 139 GiB, 16 cores and 128 GiB of memory, half of it in /dev/shm."""
    machine(64 * GIB, 128 * GIB)
    profile = load_profile(PROFILES / f"{name}.toml")
    game, gpu = describe_game(profile.game), ("cuda:0",)
    plan = make_plan(profile, game, Devices(gpu, gpu, {"cuda:0": 139 * GIB}), describe_model(profile, game).model)
    plan.check()
    assert set(plan.device_bytes()["cuda:0"]) == {"learner", "inference"}
    assert len(plan.shape.members()) <= 16


@pytest.mark.parametrize(
    ("name", "has_positions"),
    [
        ("CartPole-v1", False),
        ("OpenSpiel/backgammon", False),
        ("OpenSpiel/2048", False),
        ("OpenSpiel/breakthrough", True),
        ("chess", True),
    ],
)
def test_plan_refuses_searches_by_the_rules_of_games_without_positions(name, has_positions):
    frames = ("network.kind=residual", "network.downsample=none") if name == "chess" else ()
    profile = tiny_profile(f'game.name="{name}"', "search.model=rules", "replay.capacity_bytes=200000000", *frames)
    plan = make_plan(profile, describe_game(profile.game), Devices.assumed(profile), ModelSizes())
    if has_positions:
        plan.check()
        return
    with pytest.raises(
        ConfigError, match=rf"^search.model='rules': {name} has no positions from which .*: leave it out$"
    ):
        plan.check()


def test_plan_counts_the_positions_of_searches_by_the_rules_and_no_hidden_states():
    learned, rules = (planned("game.name=tic_tac_toe", f"search.model={model}") for model in ("learned", "rules"))
    assert rules.search_bytes() > learned.search_bytes()
    assert rules.pool_nodes(0) * 5 == learned.pool_nodes(0)  # four simulations
    assert (learned.shape.num_unroll_steps, rules.shape.num_unroll_steps) == (5, 0)
