"""What the diagnostics segment and the weights segment hold; the rings' records are in schema.py."""

from .layout import WORDS_PER_LINE, ArrayLayout, Field

# Parts of the model whose gradients are measured one by one.
MODEL_PARTS = ("representation", "dynamics", "prediction", "value_prefix", "consistency")


def diagnostics_layout(num_unroll_steps: int) -> ArrayLayout:
    """What the learner sees of its latest measured batch (learner -> supervisor); gauges, in no promised order."""
    return ArrayLayout(
        [
            # Training steps when it was measured; 0: never.
            Field("learner_steps", "int64", (1,)),
            # Entropies in nats: of the network's policies at k = 0, of the policy targets.
            Field("policy_entropy", "float64", (1,)),
            Field("search_policy_entropy", "float64", (1,)),
            # Mean |v_k - z_k| and |r_k - u_k| per unroll step.
            Field("value_error", "float64", (num_unroll_steps + 1,)),
            Field("reward_error", "float64", (num_unroll_steps,)),
            # Of the hidden state at k = 0: mean, and mean over its places of the spread over the batch.
            Field("state_mean", "float64", (1,)),
            Field("state_spread", "float64", (1,)),
            # Effective number of samples of the batch under its importance weights.
            Field("sample_size", "float64", (1,)),
            # Norm of the gradient in each of MODEL_PARTS, after clipping.
            Field("gradient_norm", "float64", (len(MODEL_PARTS),)),
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
