"""Networks of a user's own model: a runtime is used only if its answers are the model's.

A trace holds what the code did once: a branch, a length or a number that Python chose stays as it was. Folded
normalisation and bfloat16, too, do what the code did not ask for. So answers are compared before any game is played.

Shape legend    R rows of a batch   C = 2 + A columns   A actions
"""

import copy
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import OwnCodeError
from ...extras import is_installed
from .. import FlatWeights, Model
from ..model import NetworkOutput
from ..own import asked_of_own
from . import Arithmetic, Network

# Weights of the trial: the user's first ones, moved by this part of a normal draw, for heads often start at zero.
_MOVED = 0.1
_SEED, _MOST_ROWS = 0, 5
# The largest difference, relative to the largest answer. In bfloat16 a number has 8 bits, and a network many sums.
_TOLERANCE, _TOLERANCE_BFLOAT16 = 0.01, 0.25


def checked_networks(
    make: Callable[[Arithmetic], list[Network]],
    arithmetic: Arithmetic,
    model: Model,
    observation: Tensor,
    num_actions: int,
) -> list[Network]:
    """The networks that `make` makes; raises OwnCodeError if it fails on the user's code, or they answer otherwise.

    `observation` is a stacked one, [1, ...].
    """
    kind = model.config.kind
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # the comparison finds out whether it matters
        networks = asked_of_own(kind, f"for {arithmetic.runtime} it", make, arithmetic)
    trial, most_rows = moved(model), min(len(networks[0].flights[0].source_R), _MOST_ROWS)
    networks[0].load(FlatWeights(trial).read())
    for rows in sorted({1, most_rows}):
        observation_R = random_observations(observation, rows)
        found = asked_of_own(kind, f"in {arithmetic.runtime} it", _walk, networks[0], observation_R, num_actions)
        expected = expected_answers(trial, observation_R, num_actions)
        apart = _apart(found, expected)
        if not apart <= (_TOLERANCE_BFLOAT16 if arithmetic.bfloat16 else _TOLERANCE):
            raise OwnCodeError(
                f"{kind}: in {arithmetic.runtime}{' with bfloat16' * arithmetic.bfloat16} it answers otherwise than "
                f"its code: by {apart:.2g} of the largest answer, with {rows} rows"
            )
    return networks


def moved(model: Model) -> Model:
    """A copy in evaluation mode with weights that are none of the first ones; draws no number of the caller's."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(_SEED)
        for parameter in model.parameters():
            parameter.add_(_MOVED * torch.randn(parameter.shape))
    return model


def random_observations(observation: Tensor, rows: int) -> np.ndarray:
    """Observations [R, ...] like this one [1, ...], the same in every call: bytes, or numbers like normal ones."""
    rng, shape = np.random.default_rng(_SEED), (rows, *observation.shape[1:])
    if observation.dtype == torch.uint8:
        return rng.integers(0, 256, shape, np.uint8)
    return rng.normal(size=shape).astype(np.float32)


def _walk(network: Network, observation_R: np.ndarray, num_actions: int) -> np.ndarray:
    """Answers [2, R, C] of roots and of their children by the actions 0, 1, ..., in rows of the pool after theirs."""
    rows = np.arange(len(observation_R))
    root_RC = network.infer_roots(observation_R, rows).copy()
    action_R = (rows % num_actions).astype(np.int32)
    return np.stack([root_RC, network.infer_children(rows, rows + len(rows), action_R)])


@torch.no_grad()
def expected_answers(model: Model, observation_R: np.ndarray, num_actions: int) -> np.ndarray:
    """The model's own answers to the same walk."""
    root = model.initial_inference(torch.from_numpy(observation_R))
    child = model.recurrent_inference(root.hidden_state, torch.arange(len(observation_R)) % num_actions)
    return np.stack([_answer(model, output) for output in (root, child)])


def _answer(model: Model, output: NetworkOutput) -> np.ndarray:
    reward_R, value_R = model.reward(output), model.value(output)
    return torch.cat([reward_R.unsqueeze(1), value_R.unsqueeze(1), output.policy_logits_BA], dim=1).numpy()


def check_export(model: Model, files: Mapping[str, bytes], observation: Tensor, num_actions: int) -> None:
    """Raises OwnCodeError if the exported functions, ONNX files by name, answer otherwise than their model.

    Checks nothing where onnxruntime is not installed.
    """
    if not is_installed("onnxruntime"):
        return
    from onnxruntime import InferenceSession

    kind, cpu = model.config.kind, ["CPUExecutionProvider"]
    sessions = {name: InferenceSession(data, providers=cpu) for name, data in files.items()}
    for rows in (1, _MOST_ROWS):
        observation_R = random_observations(observation, rows)
        found = asked_of_own(kind, "exported, it", _step_of_files, sessions, observation_R, num_actions)
        _, expected = expected_answers(model, observation_R, num_actions)
        if not (apart := _apart(found, expected)) <= _TOLERANCE:
            raise OwnCodeError(
                f"{kind}: exported, it answers otherwise than its code: by {apart:.2g} of the largest answer, "
                f"with {rows} rows"
            )


def _step_of_files(sessions: Mapping[str, Any], observation_R: np.ndarray, num_actions: int) -> np.ndarray:
    """Answers [R, C] of the children of these observations by the actions 0, 1, ..."""
    action_R = np.arange(len(observation_R)) % num_actions
    (root_R,) = sessions["representation"].run(None, {"observation": observation_R})
    reward_R, state_R = sessions["dynamics"].run(None, {"hidden_state": root_R, "action": action_R})
    logits_RA, value_R = sessions["prediction"].run(None, {"hidden_state": state_R})
    return np.concatenate([reward_R[:, None], value_R[:, None], logits_RA], axis=1)


def _apart(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest answer."""
    return float(np.abs(found - expected).max() / (1.0 + np.abs(expected).max()))
