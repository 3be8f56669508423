"""What one slot of each ring holds, and what the weights segment holds.

Shape legend    L transitions of a trajectory   A actions   B unrolls of a batch   K unroll steps
                T positions searched in lockstep
"""

from .layout import WORDS_PER_LINE, ArrayLayout, Field

# Values of `end` in a trajectory: what follows its last transition.
UNFINISHED, TERMINATED, TRUNCATED = 0, 1, 2


def trajectory_layout(length: int, num_actions: int, frame_shape: tuple[int, ...], frame_dtype: str) -> ArrayLayout:
    """Up to `length` consecutive transitions of one episode (actor -> replay)."""
    return ArrayLayout(
        [
            # game, episode: identity of the episode within its actor's epoch; offset: its move number
            # of the first transition here; length: transitions here; end: UNFINISHED, ...
            Field("game", "int32", (1,)),
            Field("episode", "int64", (1,)),
            Field("offset", "int64", (1,)),
            Field("length", "int32", (1,)),
            Field("end", "int32", (1,)),
            # Value of the state after the last transition; 0 when terminated.
            Field("final_value", "float32", (1,)),
            Field("frame", frame_dtype, (length, *frame_shape)),
            Field("action", "int32", (length,)),
            Field("reward", "float32", (length,)),
            Field("to_play", "int8", (length,)),
            Field("legal_actions", "bool", (length, num_actions)),
            Field("search_policy", "float32", (length, num_actions)),
            Field("root_value", "float32", (length,)),
            Field("weights_version", "int64", (length,)),
        ]
    )


def batch_layout(
    batch_size: int,
    num_unroll_steps: int,
    num_actions: int,
    observation_shape: tuple[int, ...],
    frame_dtype: str,
    *,
    next_observations: bool = False,
) -> ArrayLayout:
    """One rank's part of a batch (replay -> learner); index k of a target belongs to the state after k actions."""
    unroll = (batch_size, num_unroll_steps)
    states = (batch_size, num_unroll_steps + 1)
    # For the consistency loss: the stacked observation after each action, and whether there is one.
    following = [
        Field("next_observation", frame_dtype, (*unroll, *observation_shape)),
        Field("observation_mask", "float32", unroll),
    ]
    return ArrayLayout(
        [
            *(following if next_observations else []),
            Field("observation", frame_dtype, (batch_size, *observation_shape)),
            Field("action", "int32", unroll),
            Field("value_target", "float32", states),
            Field("value_mask", "float32", states),
            Field("reward_target", "float32", unroll),
            Field("reward_mask", "float32", unroll),
            Field("policy_target", "float32", (*states, num_actions)),
            Field("policy_mask", "float32", states),
            Field("weight", "float32", (batch_size,)),
            # Key of each sampled position: its place in the table and the table's count when it was stored.
            Field("slot", "int64", (batch_size,)),
            Field("generation", "int64", (batch_size,)),
        ]
    )


def priority_layout(batch_size: int) -> ArrayLayout:
    """New priorities of one batch's positions (learner -> replay); keys as in the batch."""
    return ArrayLayout(
        [
            Field("slot", "int64", (batch_size,)),
            Field("generation", "int64", (batch_size,)),
            # |v - z|, both as the learner had them in the step.
            Field("priority", "float32", (batch_size,)),
        ]
    )


def position_layout(
    num_trees: int, num_actions: int, observation_shape: tuple[int, ...], frame_dtype: str
) -> ArrayLayout:
    """Up to `num_trees` positions to search again (replay -> reanalyzer)."""
    return ArrayLayout(
        [
            # ticket: which request of the replay server this is; rows: positions in it.
            Field("ticket", "int64", (1,)),
            Field("rows", "int32", (1,)),
            Field("observation", frame_dtype, (num_trees, *observation_shape)),
            Field("legal_actions", "bool", (num_trees, num_actions)),
            # The position that the value target bootstraps from; all zeros where there is none.
            Field("bootstrap_observation", frame_dtype, (num_trees, *observation_shape)),
        ]
    )


def target_layout(num_trees: int, num_actions: int) -> ArrayLayout:
    """What the search and the target network say of the positions of one ticket (reanalyzer -> replay)."""
    return ArrayLayout(
        [
            Field("ticket", "int64", (1,)),
            Field("search_version", "int64", (1,)),
            Field("bootstrap_version", "int64", (1,)),
            Field("search_policy", "float32", (num_trees, num_actions)),
            Field("root_value", "float32", (num_trees,)),
            Field("bootstrap_value", "float32", (num_trees,)),
        ]
    )


NUM_WEIGHTS_BUFFERS = 3


def weights_layout(nbytes: int) -> ArrayLayout:
    """Versioned buffers of the whole model (learner -> many); see `mzpipe.weights`."""
    return ArrayLayout(
        [
            Field("latest", "int64", (WORDS_PER_LINE,)),
            Field("stamp", "int64", (NUM_WEIGHTS_BUFFERS, WORDS_PER_LINE)),
            Field("learner_steps", "int64", (NUM_WEIGHTS_BUFFERS,)),
            Field("env_steps", "int64", (NUM_WEIGHTS_BUFFERS,)),
            Field("crc", "int64", (NUM_WEIGHTS_BUFFERS,)),
            Field("buffer", "uint8", (NUM_WEIGHTS_BUFFERS, nbytes)),
        ]
    )
