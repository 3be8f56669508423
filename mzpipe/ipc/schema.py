"""Every record that goes through a ring, declared once: the dtype, shape and meaning of each array.

    actor --Trajectory--> replay --BatchSlot--> learner --Priorities--> replay
                          replay --Positions--> reanalyzer --FreshTargets--> replay

Everything else follows: ring slots, the recorder's and the table's columns, their sizes, the journal, the export,
and the random records of benchmarks. To add a field: declare it, write it, read it. A field of Steps gets the next
`since`, for the journals that lack it.

Shape legend    B unrolls of a batch   K unroll steps   K1 = K + 1 states   A actions   F frames of an unroll
                T positions searched in lockstep
"""

from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import numpy as np

from .columns import FRAME_DTYPE, Column, Each

# Values of `end` in a trajectory: whether its last transition ended the episode, and how.
UNFINISHED, TERMINATED, TRUNCATED = 0, 1, 2

Array = TypeVar("Array")


class Steps(NamedTuple):
    """Transitions, one row each, without their frames, which are large and stored separately."""

    action: Annotated[np.ndarray, Column("int32", (), "the action taken", "actions")]
    reward: Annotated[np.ndarray, Column("float32", (), "the reward that followed it", "rewards")]
    to_play: Annotated[np.ndarray, Column("int8", (), "the player to move")]
    legal_actions: Annotated[np.ndarray, Column("bool", ("num_actions",), "what the rules allow")]
    search_policy: Annotated[
        np.ndarray, Column("float32", ("num_actions",), "the search's policy; zeros: no target", "search_policies")
    ]
    root_value: Annotated[np.ndarray, Column("float32", (), "the search's value of the position", "root_values")]
    weights_version: Annotated[np.ndarray, Column("int64", (), "weights version of the search", "weights_versions")]
    # Where actions are vectors, `action` and the search's policy count places among the candidates.
    vectors: Annotated[
        np.ndarray | None,
        Column("float32", ("action_vectors",), "the action taken, then each candidate", only_with="action_size"),
    ] = None


class Trajectory(NamedTuple):
    """Consecutive transitions of one episode (actor -> replay); rows from `length` on hold old data."""

    game: Annotated[np.ndarray, Column("int32", (1,), "the actor's game")]
    episode: Annotated[np.ndarray, Column("int64", (1,), "its episode, counted within the actor's epoch")]
    offset: Annotated[np.ndarray, Column("int64", (1,), "move number of the first transition here")]
    length: Annotated[np.ndarray, Column("int32", (1,), "transitions here")]
    end: Annotated[np.ndarray, Column("int32", (1,), "UNFINISHED, TERMINATED or TRUNCATED")]
    final_value: Annotated[
        np.ndarray, Column("float32", (1,), "value of the state after the last transition; 0 when terminated")
    ]
    frame: Annotated[
        np.ndarray,
        Column(FRAME_DTYPE, ("length", "frame_shape"), "the single frame that an action was chosen at", "observations"),
    ]
    steps: Annotated[Steps, Each("length")]


class Keys(NamedTuple):
    """Sampled positions: their rows in the table, and the table's lap when they were stored."""

    slot_B: Annotated[np.ndarray, Column("int64", (), "row of the table")]
    generation_B: Annotated[np.ndarray, Column("int64", (), "lap of the table")]


class Unrolls(NamedTuple, Generic[Array]):
    """The training data: arrays in the ring, tensors on the device; index k belongs to the state after k actions.

    Each frame is there once. The first ones are the stacked frames of the position, oldest first; K more follow, one
    after each action, if the network `sees_next`: the stack of the state after k actions begins at frame k.
    A frame that is not stored is zeros. observation_mask_BK says at k - 1 whether the state after k actions is stored;
    where it is not, its stack counts as zeros, although its first frames are there. Where the network does not, it is
    None.
    """

    frame_BF: Annotated[
        Array, Column(FRAME_DTYPE, ("unroll_frames", "frame_shape"), "up to the position, and after each action")
    ]
    action_BK: Annotated[Array, Column("int32", ("num_unroll_steps",), "the actions from there on")]
    value_target_BK1: Annotated[Array, Column("float32", ("num_states",), "n-step values")]
    value_mask_BK1: Annotated[Array, Column("float32", ("num_states",), "1 where the value counts")]
    reward_target_BK: Annotated[Array, Column("float32", ("num_unroll_steps",), "place k - 1: for the action into k")]
    reward_mask_BK: Annotated[Array, Column("float32", ("num_unroll_steps",), "1 where the reward counts")]
    policy_target_BK1A: Annotated[Array, Column("float32", ("num_states", "num_actions"), "search policies")]
    policy_mask_BK1: Annotated[Array, Column("float32", ("num_states",), "1 where the policy counts")]
    weight_B: Annotated[Array, Column("float32", (), "importance weights")]
    observation_mask_BK: Annotated[
        Array | None,
        Column("float32", ("num_unroll_steps",), "1 where the frame is stored", only_with="next_observations"),
    ] = None
    vectors_BK1V: Annotated[
        Array | None,
        Column(
            "float32", ("num_states", "action_vectors"), "as in Steps; past the end at random", only_with="action_size"
        ),
    ] = None

    @property
    def model_action_BK(self) -> Array:
        """The actions as the model's dynamics takes them: places in the list [B, K], or vectors [B, K, D]."""
        vectors_BK1V: Any = self.vectors_BK1V
        taken: Array = self.action_BK if vectors_BK1V is None else vectors_BK1V[:, :-1, : self._action_size]
        return taken

    @property
    def candidates_BK1V(self) -> Array:
        """The candidates of each state, where actions are vectors."""
        vectors_BK1V: Any = self.vectors_BK1V
        candidates: Array = vectors_BK1V[..., self._action_size :]
        return candidates

    @property
    def _action_size(self) -> int:
        vectors_BK1V, policy_BK1A = self.vectors_BK1V, self.policy_target_BK1A
        return int(vectors_BK1V.shape[-1]) // (1 + int(policy_BK1A.shape[-1]))  # type: ignore[union-attr, attr-defined]

    @property
    def frame_stack(self) -> int:
        """Frames of a stacked observation."""
        frame_BF: Any = self.frame_BF
        following_BK: Any = self.observation_mask_BK
        return int(frame_BF.shape[1]) - (0 if following_BK is None else int(following_BK.shape[1]))

    @property
    def observation(self) -> Array:
        """The stacked observation of the position, a view: frames joined along their first axis, [B, ...]."""
        frame_BF: Any = self.frame_BF
        stack: Array = frame_BF[:, : self.frame_stack].reshape(len(frame_BF), -1, *frame_BF.shape[3:])
        return stack


class BatchSlot(NamedTuple):
    """One rank's part of a batch (replay -> learner)."""

    keys: Annotated[Keys, Each("batch_size")]
    unrolls: Annotated[Unrolls[np.ndarray], Each("batch_size")]


class Priorities(NamedTuple):
    """New priorities of one batch's positions (learner -> replay)."""

    keys: Annotated[Keys, Each("batch_size")]
    priority_B: Annotated[np.ndarray, Column("float32", ("batch_size",), "|v - z|, both as they were in the step")]


class Positions(NamedTuple):
    """Positions to search again (replay -> reanalyzer); only the first `rows` rows hold one."""

    ticket: Annotated[np.ndarray, Column("int64", (1,), "which request of the replay server this is")]
    rows: Annotated[np.ndarray, Column("int32", (1,), "positions in it")]
    observation: Annotated[np.ndarray, Column(FRAME_DTYPE, ("num_trees", "observation_shape"), "stacked frames")]
    legal_actions: Annotated[np.ndarray, Column("bool", ("num_trees", "num_actions"), "what the rules allow")]
    bootstrap_observation: Annotated[
        np.ndarray,
        Column(
            FRAME_DTYPE, ("num_trees", "observation_shape"), "where the value target bootstraps from; zeros: nowhere"
        ),
    ]
    # Where searches walk the game's own rules.
    history: Annotated[
        np.ndarray | None,
        Column(
            "int32", ("num_trees", "longest_game"), "the game's actions before it, then -1", only_with="longest_game"
        ),
    ] = None


class FreshTargets(NamedTuple):
    """Results of the search and the target network for one ticket's positions (reanalyzer -> replay)."""

    ticket: Annotated[np.ndarray, Column("int64", (1,), "as in Positions")]
    search_version: Annotated[np.ndarray, Column("int64", (1,), "weights version of the search")]
    bootstrap_version: Annotated[np.ndarray, Column("int64", (1,), "weights version of the target network")]
    search_policy: Annotated[np.ndarray, Column("float32", ("num_trees", "num_actions"), "as in Steps")]
    root_value: Annotated[np.ndarray, Column("float32", ("num_trees",), "as in Steps")]
    bootstrap_value: Annotated[np.ndarray, Column("float32", ("num_trees",), "value of the bootstrap's position")]
    candidates: Annotated[
        np.ndarray | None,
        Column("float32", ("num_trees", "candidate_numbers"), "what was searched", only_with="action_size"),
    ] = None
