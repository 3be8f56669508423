"""The layout of the weights segment; the rings' records are in schema.py."""

from .layout import WORDS_PER_LINE, ArrayLayout, Field

NUM_WEIGHTS_BUFFERS = 3


def weights_layout(nbytes: int) -> ArrayLayout:
    """Versioned buffers of the whole model (learner -> many); see weights.py."""
    return ArrayLayout(
        [
            Field("latest", "int64", (WORDS_PER_LINE,)),
            Field("stamp", "int64", (NUM_WEIGHTS_BUFFERS, WORDS_PER_LINE)),
            Field("learner_steps", "int64", (NUM_WEIGHTS_BUFFERS,)),
            Field("env_steps", "int64", (NUM_WEIGHTS_BUFFERS,)),
            Field("buffer", "uint8", (NUM_WEIGHTS_BUFFERS, nbytes)),
        ]
    )
