"""The shape of a run: its processes, which lanes they own, and the layout of every segment."""

from dataclasses import dataclass

import numpy as np

from .columns import RecordLayout, Sizes
from .control import stop_layout
from .counters import counters_layout
from .diagnostics import diagnostics_layout
from .doorbell import doorbell_layout
from .errorlog import errorlog_layout
from .lane import lane_layout
from .layout import ArrayLayout, Field
from .pods import pods_layout
from .roles import Role
from .schema import BatchSlot, FreshTargets, Positions, Priorities, Trajectory
from .segment import HEADER_BYTES
from .segments import RingSpec
from .stages import stages_layout
from .trace import trace_layout
from .weights import weights_layout

_MAX_MEMBERS, _MAX_NUMBER = 1 << 10, 1 << 40
# A reanalyzer searches over one lane and asks the target network over another.
LANES_PER_SEARCH = 2
# The learner answers each batch with one record, so the replay server may fall this far behind unnoticed.
PRIORITY_SLOTS_PER_BATCH = 2


@dataclass(frozen=True)
class Member:
    """One process of the run."""

    role: Role
    index: int

    @property
    def identity(self) -> str:
        """Its name on the control plane and in logs."""
        return f"{self.role}-{self.index}"


@dataclass(frozen=True)
class PlaneShape:
    """The numbers and shapes that determine every segment's size."""

    frame_shape: tuple[int, ...]
    frame_dtype: str
    frame_stack: int
    num_actions: int
    actors: int
    lanes_per_actor: int
    trees_per_lane: int
    reanalyzers: int
    lanes_per_reanalyzer: int
    trees_per_reanalyzer_lane: int
    position_ring_slots: int
    evaluator_trees: int
    inference_servers: int
    trajectory_length: int
    trajectory_ring_slots: int
    batch_ring_slots: int
    # Unrolls of a training step, split equally between the learner's ranks.
    batch_size: int
    num_unroll_steps: int
    weights_bytes: int
    # Names, dtypes and shapes of the model's state, as in a checkpoint. Integers are not in the weights.
    model_state: tuple[Field, ...] = ()
    learner_ranks: int = 1
    # Whether batches hold the frames that follow the sampled positions.
    next_observations: bool = False
    # Events that each process can keep; 0: no trace.
    trace_events: int = 0
    # Whether the run is measured: its pods then say what their processes do.
    is_measured: bool = False
    # Numbers of an action that is a vector, of which num_actions candidates are searched; 0: actions are a list.
    action_size: int = 0
    # The most moves of a game whose positions reanalyzers make from its actions; 0: they need the observation alone.
    longest_game: int = 0
    # The codes of chance that the network knows besides the game's actions.
    chance_codes: int = 0
    # Pods that may join the run, and the actors and reanalyzers of each.
    pods: int = 0
    pod_actors: int = 0
    pod_reanalyzers: int = 0
    # Whether this is the shape of a pod itself: actors, reanalyzers, their servers, and the uplink.
    is_pod: bool = False

    def check(self) -> None:
        """Raises ValueError for numbers that no plan has: a stranger's shape could ask for much memory or time."""
        pods = (self.pods, self.pod_actors, self.pod_reanalyzers)
        processes = (self.actors, self.reanalyzers, self.inference_servers, self.learner_ranks, *pods)
        lanes = (self.lanes_per_actor, self.lanes_per_reanalyzer)
        least = (self.inference_servers, self.learner_ranks, self.num_actions, self.batch_size)
        if min(least) < 1 or max(*processes, *lanes) > _MAX_MEMBERS:
            raise ValueError(
                f"processes {processes}, lanes {lanes}: not those of a run, which has at most {_MAX_MEMBERS}"
            )
        sizes = (*self.frame_shape, *(size for field in self.model_state for size in field.shape))
        numbers = [value for value in vars(self).values() if isinstance(value, int)]
        if min(*numbers, *sizes) < 0 or max(*numbers, *sizes) > _MAX_NUMBER:
            raise ValueError(f"numbers are not in 0..{_MAX_NUMBER}")
        for dtype in (self.frame_dtype, *(field.dtype for field in self.model_state)):
            if np.dtype(dtype).kind not in "biuf":
                raise ValueError(f"dtype {dtype[:20]!r}")

    @property
    def num_places(self) -> int:
        """The width of the network's policy: the game's actions, and after them the codes of chance."""
        return self.num_actions + self.chance_codes

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """Shape of a stacked observation."""
        return self.sizes().observation_shape

    def trees_of(self, role: Role) -> int:
        """Rows that a searching role uses in each of its lanes."""
        trees = {Role.REANALYZER: self.trees_per_reanalyzer_lane, Role.EVALUATOR: self.evaluator_trees}
        return trees.get(role, self.trees_per_lane)

    @property
    def trees_of_a_lane(self) -> int:
        """Rows in every lane."""
        return max(self.trees_of(owner.role) for owner in self.lane_clients(0))

    def members(self) -> list[Member]:
        """Every process in start order: downstream first, so that every sender finds its receiver."""
        servers = [Member(Role.INFERENCE, index) for index in range(self.inference_servers)]
        actors = [Member(Role.ACTOR, index) for index in range(self.actors)]
        reanalyzers = [Member(Role.REANALYZER, index) for index in range(self.reanalyzers)]
        if self.is_pod:
            return [*servers, Member(Role.UPLINK, 0), *reanalyzers, *actors]
        stores = [Member(Role.REPLAY, 0), *([Member(Role.GATEWAY, 0)] if self.pods else [])]
        return [*self.learners(), *servers, *stores, *reanalyzers, *actors, Member(Role.EVALUATOR, 0)]

    def trajectory_writers(self) -> list[Member]:
        """Who writes each trajectory ring: the actors, then the gateway, which has a ring for each pod."""
        actors = [Member(Role.ACTOR, index) for index in range(self.actors)]
        return [*actors, *[Member(Role.GATEWAY, 0)] * self.pods]

    def position_readers(self) -> list[Member]:
        """Who reads each position ring: the reanalyzers, then the gateway, which has one for each of every pod's."""
        reanalyzers = [Member(Role.REANALYZER, index) for index in range(self.reanalyzers)]
        return [*reanalyzers, *[Member(Role.GATEWAY, 0)] * (self.pods * self.pod_reanalyzers)]

    @property
    def games_per_actor(self) -> int:
        """Games that an actor plays side by side; they are numbered within it."""
        return self.lanes_per_actor * self.trees_per_lane

    def learners(self) -> list[Member]:
        """The ranks of the learner."""
        return [Member(Role.LEARNER, rank) for rank in range(self.learner_ranks)]

    @property
    def rank_batch_size(self) -> int:
        """Unrolls of a training step that one rank takes."""
        return self.batch_size // self.learner_ranks

    def lane_clients(self, server: int) -> list[Member]:
        """Owner of each lane of one server, in lane order; the evaluator's lane is the first server's last."""
        actors = [Member(Role.ACTOR, index) for index in range(server, self.actors, self.inference_servers)]
        reanalyzers = [
            Member(Role.REANALYZER, index) for index in range(server, self.reanalyzers, self.inference_servers)
        ]
        lanes = [actor for actor in actors for _ in range(self.lanes_per_actor)]
        lanes += [each for each in reanalyzers for _ in range(LANES_PER_SEARCH * self.lanes_per_reanalyzer)]
        return [*lanes, Member(Role.EVALUATOR, 0)] if server == 0 and not self.is_pod else lanes

    def lanes_of(self, member: Member) -> tuple[int, list[int]]:
        """(server, its lanes) that `member` owns."""
        server = member.index % self.inference_servers if member.role in (Role.ACTOR, Role.REANALYZER) else 0
        owners = self.lane_clients(server)
        return server, [lane for lane, owner in enumerate(owners) if owner == member]

    def first_lane(self, server: int) -> int:
        """Number of a server's first lane, counted over the lanes of all servers."""
        return sum(len(self.lane_clients(before)) for before in range(server))

    def sizes(self) -> Sizes:
        """Axes of the records in the rings."""
        return Sizes(
            length=self.trajectory_length,
            num_actions=self.num_actions,
            frame_shape=self.frame_shape,
            frame_dtype=self.frame_dtype,
            frame_stack=self.frame_stack,
            batch_size=self.rank_batch_size,
            num_unroll_steps=self.num_unroll_steps,
            num_trees=self.trees_per_reanalyzer_lane,
            next_observations=self.next_observations,
            action_size=self.action_size,
            longest_game=self.longest_game,
        )

    def segments(self) -> dict[str, ArrayLayout | RingSpec]:
        """Layout of every segment by file name."""
        members, trees = len(self.members()), self.trees_of_a_lane
        trajectory = RecordLayout.of(Trajectory, self.sizes())
        plan: dict[str, ArrayLayout | RingSpec] = {
            "stop": stop_layout(),
            "doorbells": doorbell_layout(members),
            "counters": counters_layout(members),
            "stages": stages_layout(members),
            "errors": errorlog_layout(members),
            "weights": weights_layout(self.weights_bytes),
            "diagnostics": diagnostics_layout(self.num_unroll_steps),
        }
        if self.trace_events:
            plan["trace"] = trace_layout(members, self.trace_events)
        for server in range(self.inference_servers):
            lanes = len(self.lane_clients(server))
            plan[f"lanes-{server}"] = lane_layout(
                lanes, trees, self.num_places, self.observation_shape, self.frame_dtype, self.action_size
            )
        for ring in range(len(self.trajectory_writers())):
            plan[f"trajectory-{ring}"] = RingSpec(trajectory, self.trajectory_ring_slots)
        if self.pods:
            plan["pods"] = pods_layout(self.pods, self.pod_actors)
        return plan | ({} if self.is_pod else self._batch_segments()) | self._reanalyze_segments()

    def _batch_segments(self) -> dict[str, ArrayLayout | RingSpec]:
        batch = RecordLayout.of(BatchSlot, self.sizes())
        priority = RecordLayout.of(Priorities, self.sizes())
        plan: dict[str, ArrayLayout | RingSpec] = {}
        for rank in range(self.learner_ranks):
            plan[f"batch-{rank}"] = RingSpec(batch, self.batch_ring_slots)
            plan[f"priority-{rank}"] = RingSpec(priority, PRIORITY_SLOTS_PER_BATCH * self.batch_ring_slots)
        return plan

    def _reanalyze_segments(self) -> dict[str, ArrayLayout | RingSpec]:
        positions = RecordLayout.of(Positions, self.sizes())
        targets = RecordLayout.of(FreshTargets, self.sizes())
        plan: dict[str, ArrayLayout | RingSpec] = {}
        for ring in range(len(self.position_readers())):
            plan[f"position-{ring}"] = RingSpec(positions, self.position_ring_slots)
            plan[f"target-{ring}"] = RingSpec(targets, self.position_ring_slots)
        return plan

    def segment_bytes(self) -> dict[str, int]:
        """Bytes of every segment file."""
        return {name: HEADER_BYTES + spec.nbytes for name, spec in self.segments().items()}
