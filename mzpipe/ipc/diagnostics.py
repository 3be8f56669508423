"""Diagnostics: the learner's measurements of its latest measured batch (learner -> supervisor).

A number is declared once, here. The segment, its curves (`telemetry.metrics`) and docs/metrics.md follow.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .layout import ArrayLayout, Field

# Parts of the model that only the learner has: see consistency.py, reconstruction.py and chance.py of nets/.
TRAINING_PARTS = ("consistency", "decoder", "encoder")
# Parts of the model whose gradients are measured one by one.
MODEL_PARTS = ("representation", "dynamics", "prediction", "value_prefix", *TRAINING_PARTS)


class Per(NamedTuple):
    """The axis of a diagnostic: its placeholder in the tag, and the keys that replace it, by unroll steps."""

    place: str
    keys: Callable[[int], Sequence[str]]
    # Whether 0 means that the model has no such part.
    may_lack: bool = False


_BATCH = Per("", lambda num_unroll_steps: ("",))
_CHANCE = Per("", lambda num_unroll_steps: ("",), may_lack=True)
_STATE = Per("/K", lambda num_unroll_steps: [str(k) for k in range(num_unroll_steps + 1)])
_ACTION = Per("/K", lambda num_unroll_steps: [str(k) for k in range(1, num_unroll_steps + 1)])
_PART = Per("/PART", lambda num_unroll_steps: MODEL_PARTS, may_lack=True)


class Diagnostic(NamedTuple):
    """One field of the segment."""

    name: str
    per: Per
    unit: str
    meaning: str


DIAGNOSTICS = (
    Diagnostic("policy_entropy", _BATCH, "nats", "entropy of the network's policies at k = 0"),
    Diagnostic(
        "search_policy_entropy",
        _BATCH,
        "nats",
        "entropy of the policy targets; both near 0 while returns are poor: raise the noise at the root",
    ),
    Diagnostic(
        "value_error",
        _STATE,
        "value",
        "mean |v - z| at unroll step K; good at 0, bad at 5: the dynamics are not learnt",
    ),
    Diagnostic("reward_error", _ACTION, "reward", "mean error of the reward of action K"),
    Diagnostic("state_mean", _BATCH, "", "mean of the hidden state at k = 0"),
    Diagnostic(
        "state_spread",
        _BATCH,
        "",
        "spread of the hidden state over the batch; near 0: every observation looks the same",
    ),
    Diagnostic(
        "played_gap",
        _BATCH,
        "",
        "difference of an unroll's values as played and as trained, over the spread of the value targets; far from 0: "
        "the network that plays is not the one that is trained",
    ),
    Diagnostic(
        "codes_used",
        _CHANCE,
        "codes",
        "with `network.chance_codes`, the number of codes that the encoder uses, weighted (the exponential of their "
        "entropy over the batch); 1: nothing that it sees is chance",
    ),
    Diagnostic(
        "codes_expected",
        _CHANCE,
        "codes",
        "the number of codes that the network expects after an action, weighted alike; near the first number where "
        "chance decides all, near 1 where nothing is chance",
    ),
    Diagnostic("sample_size", _BATCH, "samples", "samples of the batch that count, under the importance weights"),
    Diagnostic("gradient_norm", _PART, "", "norm of the gradient in a part of the model, after clipping"),
)


def diagnostics_layout(num_unroll_steps: int) -> ArrayLayout:
    """The layout of the segment; its words are gauges, in no promised order."""
    numbers = [Field(each.name, "float64", (len(each.per.keys(num_unroll_steps)),)) for each in DIAGNOSTICS]
    # learner_steps: training steps at the measurement; 0: nothing was measured yet.
    return ArrayLayout([Field("learner_steps", "int64", (1,)), *numbers])
