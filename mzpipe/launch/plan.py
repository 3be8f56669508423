"""The plan: says what will run where and how many bytes it needs, before anything starts."""

import dataclasses
import os
from dataclasses import dataclass
from math import prod

import numpy as np

from ..config import Profile, SearchConfig
from ..config.validate import chosen
from ..errors import ConfigError, PlanError
from ..evaluator.episodes import check_opponent, evaluation_trees
from ..games import GameSpec
from ..inference.pool import nodes_of_a_tree
from ..inference.versions import num_resident
from ..ipc.columns import RecordLayout
from ..ipc.ring import power_of_two
from ..ipc.roles import Role
from ..ipc.schema import BatchSlot
from ..ipc.shape import Member, PlaneShape
from ..planning import greedy_search, rules_bytes
from ..replay.journal import JournalLayout, journal_bytes_bound
from ..replay.rate_limiter import check_min_size
from ..replay.sizes import TableShape, TableSizes, bytes_per_transition, journal_segment_bytes
from ..replay.store import STATE_BYTES_PER_TRANSITION
from ..runs.directory import SHARED_MEMORY, leftover_bytes
from ..runtime.devices import LOWER
from ..runtime.memory import available_memory_bytes
from ..search import search_bytes
from ..telemetry.gpus import free_memory
from .memory import ModelSizes, Needs, RoleLoad, process_needs, shared_bytes
from .roles import Devices

# While a reanalyzer searches positions, its next ones already wait.
_POSITION_SLOTS_PER_LANE = 2


@dataclass(frozen=True)
class Plan:
    """Sizes of a run."""

    profile: Profile
    game: GameSpec
    devices: Devices
    shape: PlaneShape
    model: ModelSizes

    def segment_bytes(self) -> int:
        """Bytes in /dev/shm."""
        return sum(self.shape.segment_bytes().values())

    def memory_bytes(self) -> int:
        """Bytes of the host's memory in total, shared and private."""
        processes = sum(self.needs(member).host for member in self.shape.members())
        replay = self.profile.replay.capacity_bytes + self.profile.replay.compressed_bytes
        replay = 0 if self.shape.is_pod else replay
        return shared_bytes() + self.segment_bytes() + replay + self.search_bytes() + processes

    def device_bytes(self) -> dict[str, dict[Role, int]]:
        """Bytes of every GPU's memory that the run takes, by device and role."""
        found: dict[str, dict[Role, int]] = {}
        for member in self.shape.members():
            if nbytes := self.needs(member).device:
                roles = found.setdefault(self.devices.of(member), {})
                roles[member.role] = roles.get(member.role, 0) + nbytes
        return dict(sorted(found.items()))

    def needs(self, member: Member) -> Needs:
        """What one process takes."""
        load = dataclasses.replace(self._load(member), on_gpu=self.devices.of(member) != "cpu")
        return process_needs(member.role, load, self.model, self.game.bytes_per_game)

    def _load(self, member: Member) -> RoleLoad:
        shape = self.shape
        if member.role == Role.ACTOR:
            return RoleLoad(games=shape.lanes_per_actor * shape.trees_per_lane)
        if member.role == Role.EVALUATOR:
            return RoleLoad(games=shape.evaluator_trees)
        if member.role == Role.LEARNER:
            return RoleLoad(
                batch_size=shape.rank_batch_size,
                batch_bytes=RecordLayout.of(BatchSlot, shape.sizes()).nbytes,
                cuda_graphs=self.profile.learner.cuda_graphs,
            )
        if member.role == Role.INFERENCE:
            owners = [owner.role for owner in shape.lane_clients(member.index)]
            return RoleLoad(
                pool_nodes=self.pool_nodes(member.index),
                resident_models=num_resident(shape),
                in_openvino=self.profile.network.kind == "residual",
                root_rows=sum(shape.trees_of(role) for role in owners),
                observation_bytes=prod(shape.observation_shape) * np.dtype(shape.frame_dtype).itemsize,
            )
        return RoleLoad()

    def pool_nodes(self, server: int) -> int:
        """The hidden states that an inference server keeps: one per node of every tree of its lanes."""
        return len(self.shape.lane_clients(server)) * self.shape.trees_of_a_lane * nodes_of_a_tree(self.profile)

    def table_sizes(self) -> TableSizes:
        """The sizes of the replay table; raises ConfigError if it holds too little."""
        return TableShape.of(self.profile.replay, self.game, self.profile.actor.trajectory_length).sizes()

    def journal_bytes(self) -> int:
        """The most bytes that the journal can take on disk; 0 without one."""
        replay, game = self.profile.replay, self.game
        if replay.source or not replay.journal:
            return 0
        transitions = self.table_sizes().capacity
        return journal_bytes_bound(
            journal_layout(game),
            transitions=transitions,
            trajectory_length=self.profile.actor.trajectory_length,
            segment_bytes=journal_segment_bytes(replay.capacity_bytes),
            state_bytes=transitions * STATE_BYTES_PER_TRANSITION,
        )

    def first_disk_bytes(self) -> int:
        """The bytes that a run writes before it removes any: two checkpoints, and a segment of the journal."""
        segment = journal_segment_bytes(self.profile.replay.capacity_bytes)
        return 2 * self.model.checkpoint + min(segment, self.journal_bytes())

    def search_bytes(self) -> int:
        """Bytes of the search trees of all actors, reanalyzers and the evaluator."""
        profile, shape = self.profile, self.shape
        lane = self._trees_bytes(profile.search, shape.trees_per_lane)
        if profile.actor.fast_simulations:
            lane += self._trees_bytes(
                greedy_search(profile.search, profile.actor.fast_simulations), shape.trees_per_lane
            )
        greedy = greedy_search(profile.search, profile.evaluator.num_simulations)
        games = 0 if shape.is_pod else self._trees_bytes(greedy, shape.evaluator_trees)
        again = self._trees_bytes(profile.search, shape.trees_per_reanalyzer_lane)
        reanalyzed = shape.reanalyzers * shape.lanes_per_reanalyzer * again
        return shape.actors * shape.lanes_per_actor * lane + reanalyzed + games

    def _trees_bytes(self, config: SearchConfig, num_trees: int) -> int:
        """Bytes of the trees of one search, and of their positions where it walks the game's rules."""
        shape = self.shape
        edges = {"num_actions": shape.num_actions, "num_codes": shape.chance_codes}
        trees = search_bytes(config, batch_size=num_trees, **edges)
        if config.model == "rules":
            trees += rules_bytes(self.game, num_rows=num_trees, num_simulations=config.num_simulations)
        return trees

    def check(self, *, initial_bytes: int = 0) -> None:
        """Raises PlanError if /dev/shm or memory cannot hold the plan, ConfigError if its parts do not fit together.

        The weights that a new run begins with, `initial_bytes`, lie in /dev/shm too until the learner has them.
        """
        capacity, length = self.table_sizes().capacity, self.profile.actor.trajectory_length
        if not self.profile.replay.source:  # else nothing is inserted, and nothing waits for it
            check_min_size(self.profile.replay.min_size_to_sample, capacity=capacity, trajectory_length=length)
        check_opponent(self.profile.evaluator, self.game)
        _check_images(self.profile, self.game)
        _check_symmetries(self.profile, self.game)
        _check_rules(self.profile, self.game)
        _check_playout_caps(self.profile)
        _check_resignation(self.profile, self.game)
        self.check_room(initial_bytes=initial_bytes)

    def check_room(self, *, initial_bytes: int = 0) -> None:
        """Raises PlanError if /dev/shm, memory or a GPU cannot hold the plan."""
        _check_room(
            str(SHARED_MEMORY),
            self.segment_bytes() + initial_bytes,
            free_shared_bytes(),
            "lower topology.trajectory_ring_slots, topology.batch_ring_slots, actor.trajectory_length or "
            f"learner.batch_size, or enlarge {SHARED_MEMORY}",
        )
        _check_room(
            "memory",
            self.memory_bytes(),
            available_memory_bytes(),
            "lower cluster.actors or topology.trees_per_lane in the run's profile"
            if self.shape.is_pod
            else "lower replay.capacity_bytes, topology.actors or topology.trees_per_lane",
        )
        free_now = free_memory(self.devices.uuids)
        for device, roles in self.device_bytes().items():
            _check_device(device, roles, self.devices.memory.get(device), free_now.get(device))


def make_plan(
    profile: Profile,
    game: GameSpec,
    devices: Devices,
    model: ModelSizes,
    *,
    trace_events: int | None = None,
) -> Plan:
    """The plan of a profile; the model's sizes are 0 while it has not been built.

    `trace_events` of a run that is measured is the room for a trace, in events, of all processes together, also those
    of pods; 0: no trace.
    """
    topology, is_reanalyzed = profile.topology, profile.reanalyze.fraction > 0.0
    shape = PlaneShape(
        frame_shape=game.frame_shape,
        frame_dtype=game.frame_dtype,
        frame_stack=game.frame_stack,
        num_actions=game.num_actions,
        chance_codes=profile.network.chance_codes,
        actors=0 if profile.replay.source else topology.actors,
        lanes_per_actor=topology.lanes_per_actor,
        trees_per_lane=topology.trees_per_lane,
        reanalyzers=topology.reanalyzers if is_reanalyzed else 0,
        lanes_per_reanalyzer=topology.lanes_per_reanalyzer,
        trees_per_reanalyzer_lane=topology.trees_per_reanalyzer_lane,
        position_ring_slots=power_of_two(_POSITION_SLOTS_PER_LANE * topology.lanes_per_reanalyzer),
        evaluator_trees=evaluation_trees(profile.evaluator),
        inference_servers=len(devices.inference),
        trajectory_length=profile.actor.trajectory_length,
        trajectory_ring_slots=power_of_two(topology.trajectory_ring_slots),
        batch_ring_slots=power_of_two(topology.batch_ring_slots),
        batch_size=profile.learner.batch_size,
        learner_ranks=len(devices.learner),
        next_observations=profile.network.sees_next,
        num_unroll_steps=profile.num_unroll_steps,
        weights_bytes=model.weights,
        model_state=model.state,
        action_size=game.action_size,
        longest_game=game.max_moves if is_reanalyzed and profile.search.model == "rules" else 0,
        pods=profile.cluster.pods,
        pod_actors=profile.cluster.actors if profile.cluster.pods else 0,
        pod_reanalyzers=profile.cluster.reanalyzers if profile.cluster.pods and is_reanalyzed else 0,
        is_measured=trace_events is not None,
    )
    # A pod has an uplink, and one server at least.
    processes = len(shape.members()) + shape.pods * (shape.pod_actors + shape.pod_reanalyzers + 2)
    shape = dataclasses.replace(shape, trace_events=(trace_events or 0) // processes)
    return Plan(profile, game, devices, shape, model)


def make_pod_plan(
    profile: Profile,
    game: GameSpec,
    devices: Devices,
    model: ModelSizes,
    *,
    reanalyzers: int,
    is_measured: bool = False,
    trace_events: int = 0,
) -> Plan:
    """The plan of a pod, whose profile is that of the run with the pod's own topology (launch/pod.py).

    `is_measured` and `trace_events`, of each process, are those of the run's shape.
    """
    plan = make_plan(profile, game, devices, model)
    shape = dataclasses.replace(
        plan.shape,
        is_pod=True,
        reanalyzers=reanalyzers if plan.shape.reanalyzers else 0,
        is_measured=is_measured,
        trace_events=trace_events,
    )
    return dataclasses.replace(plan, shape=shape)


def journal_layout(game: GameSpec) -> JournalLayout:
    """The layout of the records of a game's journal."""
    return JournalLayout(game.frame_shape, game.frame_dtype, game.num_actions, game.action_size)


def mebibytes(nbytes: int) -> str:
    """Bytes as text, such as "1.5 MiB"."""
    return f"{nbytes / (1 << 20):,.1f} MiB"


def operations(flops: int) -> str:
    """Floating-point operations as text, such as "1.5 MFLOP"."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if flops >= size:
            return f"{flops / size:,.1f} {unit}FLOP"
    return f"{flops} FLOP"


def _check_images(profile: Profile, game: GameSpec) -> None:
    """Refuses what is for images alone, for a game without any."""
    if game.has_images:
        return
    for choice in chosen(profile, "network.mean_image", "learner.augment_shift", "learner.augment_intensity"):
        raise ConfigError(
            f"{choice}: {game.name} has {game.frame_dtype} frames of shape {game.frame_shape}, not images of bytes: "
            "leave it out"
        )


def _check_symmetries(profile: Profile, game: GameSpec) -> None:
    for choice in chosen(profile, "learner.symmetries") if not game.symmetries else ():
        planes = ", and action planes turn with none" if profile.game.action_planes else ""
        raise ConfigError(f"{choice}: {game.name} declares no symmetries{planes}: leave it out")


def _check_rules(profile: Profile, game: GameSpec) -> None:
    for choice in chosen(profile, "search.model") if not game.has_positions else ():
        raise ConfigError(
            f"{choice}: {game.name} has no positions from which a search could play its rules, as board games without "
            "chance have: leave it out"
        )


def _check_playout_caps(profile: Profile) -> None:
    """Refuses caps that cap nothing; not for trained agents, which may be searched with any number of simulations."""
    fast, full = profile.actor.fast_simulations, profile.search.num_simulations
    if fast >= full:
        raise ConfigError(
            f"actor.fast_simulations={fast}: a full search has search.num_simulations={full}: lower the first below "
            "it, or raise the second"
        )


def _check_resignation(profile: Profile, game: GameSpec) -> None:
    for choice in chosen(profile, "actor.resign_below") if not game.has_outcome else ():
        why = "has one player" if game.num_players == 1 else "may have other rewards than an outcome of 1, 0 or -1"
        raise ConfigError(f"{choice}: {game.name} {why}: leave it out")


def free_shared_bytes() -> int:
    """Bytes free in /dev/shm, with what killed runs have left there; raises PlanError if nobody can write to it."""
    try:
        free = os.statvfs(SHARED_MEMORY)
    except OSError as error:
        raise PlanError(
            f"{SHARED_MEMORY}: {error.strerror}: mount a tmpfs there, runs keep their segments in it"
        ) from None
    if free.f_flag & os.ST_RDONLY or not os.access(SHARED_MEMORY, os.W_OK | os.X_OK):
        raise PlanError(f"{SHARED_MEMORY}: cannot be written to: remount it, runs keep their segments in it")
    return free.f_bavail * free.f_frsize + leftover_bytes()


def _check_room(place: str, needed: int, free: int, mend: str) -> None:
    if needed > free:
        raise PlanError(f"{place}: the run needs {mebibytes(needed)}, {mebibytes(free)} are free: {mend}")


def _check_device(device: str, roles: dict[Role, int], memory: int | None, free: int | None) -> None:
    """Refuses what a GPU cannot hold, or not beside other programs; names the fields of the role that takes most."""
    needed, largest = sum(roles.values()), max(roles, key=lambda role: roles[role])
    begin = f"{device}: the run needs {mebibytes(needed)} of its memory ({_shares(roles)})"
    apart = f"lower {LOWER[largest]}, or give learner and inference a device each"
    if memory is not None and needed > memory:
        raise PlanError(f"{begin}, it has {mebibytes(memory)}: {apart}")
    if free is not None and needed > free:
        total = "" if memory is None else f" of {mebibytes(memory)}"
        raise PlanError(f"{begin}, {mebibytes(free)}{total} are free: end what else uses it (nvidia-smi), or {apart}")


def _shares(roles: dict[Role, int]) -> str:
    return ", ".join(f"{role} {mebibytes(nbytes)}" for role, nbytes in roles.items())


def plan_lines(plan: Plan) -> list[str]:
    """Lines that say what runs where, and the bytes of every segment."""
    lines = [f"game      {plan.game.description}", *(_process_line(plan, member) for member in plan.shape.members())]
    for name, nbytes in plan.shape.segment_bytes().items():
        lines.append(f"segment   {name:<14} {mebibytes(nbytes):>12}   {nbytes:>15,} bytes")
    lines += [] if plan.shape.is_pod else _replay_lines(plan)
    lines += [_pool_line(plan, server) for server in range(plan.shape.inference_servers)]
    free_now = free_memory(plan.devices.uuids)
    for device, roles in plan.device_bytes().items():
        memory = plan.devices.memory.get(device)
        room = f" of {mebibytes(memory)}" if memory is not None else ""
        room += f", {mebibytes(free_now[device])} free" if device in free_now else ""
        lines.append(f"memory    {device} about {mebibytes(sum(roles.values()))}{room}: {_shares(roles)}")
    lines.append(f"memory    search trees {mebibytes(plan.search_bytes())}")
    lines.append(f"memory    /dev/shm {mebibytes(plan.segment_bytes())}, in all about {mebibytes(plan.memory_bytes())}")
    return lines


def _replay_lines(plan: Plan) -> list[str]:
    replay, game = plan.profile.replay, plan.game
    each = bytes_per_transition(game.frame_shape, game.frame_dtype, game.num_actions, game.action_size)
    sizes = plan.table_sizes()
    lines = [f"memory    replay {mebibytes(replay.capacity_bytes)}: {sizes.num_raw:,} transitions of {each:,} bytes"]
    if sizes.num_compressed:
        lines.append(
            f"memory    replay, compressed {mebibytes(replay.compressed_bytes)}: up to {sizes.num_compressed:,} "
            f"more transitions, if their frames shrink {replay.compression_ratio:g} times"
        )
    journal = plan.journal_bytes()
    if journal:
        lines.append(f"disk      journal at most {mebibytes(journal)}")
    return lines


def _pool_line(plan: Plan, server: int) -> str:
    nodes, each = plan.pool_nodes(server), plan.model.hidden_state
    models = num_resident(plan.shape)
    return (
        f"memory    inference-{server} on {plan.devices.inference[server]}: {nodes:,} hidden states of {each:,} bytes, "
        f"{mebibytes(nodes * each)}; {models} models, {mebibytes(models * plan.model.weights)}"
    )


def num_threads(profile: Profile, role: Role) -> int:
    """Intra-op threads of a role's process."""
    return {Role.LEARNER: profile.learner.num_threads, Role.INFERENCE: profile.inference.num_threads}.get(role, 1)


def _process_line(plan: Plan, member: Member) -> str:
    threads = num_threads(plan.profile, member.role)
    external = ", started by hand" if plan.profile.topology.external == member.role else ""
    plural = "s" if threads > 1 else ""
    return f"process   {member.identity:<14} {plan.devices.of(member):<7} any core, {threads} thread{plural}{external}"
