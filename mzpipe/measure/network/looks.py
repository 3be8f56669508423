"""Checks of the model itself: each look returns a line, or raises OwnCodeError, which says what is wrong."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ...errors import OwnCodeError
from ...format import count
from ...nets import FlatWeights, Model, numpy_state, restore_model
from ...nets.model import NetworkOutput
from ...runs.checkpoint import Checkpoint
from .trial import Trial

_BATCHES = (1, 2, 7, 32)
_ROWS, _STEPS = 8, 32
# The largest difference between sums in another order, relative to the largest output.
_ROUNDING = 1e-4
# Values of an observation of one colour; and of numbers that are all the same.
_PLAIN = (0, 1, 255)


def named_outputs(model: Model, output: NetworkOutput) -> dict[str, Tensor]:
    """What the rest of the program sees of an inference."""
    return {
        "the hidden state": output.hidden_state,
        "the reward": model.reward(output),
        "the value": model.value(output),
        "the policy": output.policy_logits_BA,
    }


def _shapes(trial: Trial) -> str:
    model = trial.model
    for rows in _BATCHES:
        for output in trial.walk(model, trial.observations(rows), 2):
            for what, tensor in named_outputs(model, output).items():
                if tensor.dtype != torch.float32:
                    raise OwnCodeError(f"{what} is {tensor.dtype}, not torch.float32")
                if len(tensor) != rows:
                    raise OwnCodeError(f"{what} has {len(tensor)} rows for {rows} observations")
    sizes = ", ".join(map(str, _BATCHES))
    return f"hidden state {model.state_shape}, policy {model.num_places}; batches of {sizes}"


def _finite(trial: Trial) -> str:
    observations = {"random observations": trial.observations(_ROWS)}
    for value in _PLAIN:
        observations[f"observations that are all {value}"] = torch.full_like(trial.observations(1), value)
    for which, observation in observations.items():
        for step, output in enumerate(trial.walk(trial.model, observation, _STEPS)):
            for what, tensor in named_outputs(trial.model, output).items():
                if not torch.isfinite(tensor).all():
                    raise OwnCodeError(f"{what} is not finite after {step} actions from {which}")
    return f"over {_STEPS} actions, also from observations of one value"


def _repeats(trial: Trial) -> str:
    first, again = (list(_outputs(trial, trial.observations(_ROWS))) for _ in range(2))
    for (what, one), (_, other) in zip(first, again, strict=True):
        if not torch.equal(one, other):
            raise OwnCodeError(
                f"{what} differs when the same is asked again: evaluation mode must not draw or remember"
            )
    return "bit for bit in evaluation mode"


def _rows(trial: Trial) -> str:
    observation = trial.observations(_ROWS)
    other = observation.clone()
    other[1:] = observation[1:].flip(0) // 2 if observation.dtype == torch.uint8 else 3.0 * observation[1:].flip(0)
    here = list(_outputs(trial, observation))
    for which, company in (("other observations", other), ("none", observation[:1])):
        for (what, one), (_, same) in zip(here, _outputs(trial, company), strict=True):
            if (apart := _apart(one[:1], same[:1])) > _ROUNDING:
                raise OwnCodeError(
                    f"{what} of a row changes by {apart:.2g} with {which} beside it in the batch: each row must be "
                    "computed from its own observation alone"
                )
    return "each by itself, whatever else is in its batch"


def _inputs(trial: Trial) -> str:
    model, observation = trial.model, trial.model.observe(trial.observations(_ROWS))
    with torch.no_grad():
        state = model.represent_observed(observation.clone())
        calls: dict[str, tuple[Callable[..., object], tuple[Tensor, ...]]] = {
            "representation": (model.representation, (observation,)),
            "dynamics": (model.dynamics, (state, trial.dynamics_actions(_ROWS))),
            "prediction": (model.prediction, (state,)),
        }
        for name, (function, inputs) in calls.items():
            before = [each.clone() for each in inputs]
            function(*inputs)
            if not all(map(torch.equal, inputs, before)):
                raise OwnCodeError(f"its {name} writes into its input: write into a copy")
    return "are left as they are"


def _states(trial: Trial) -> str:
    model, scaling = trial.model, trial.profile.network.state_scaling
    with torch.no_grad():
        state = model.represent(trial.observations(_ROWS))
    if bool((state == state[:1]).all()):
        why = "one number is always scaled to 0" if model.state_size == 1 and scaling == "min-max" else "a constant"
        raise OwnCodeError(f"every observation has the same hidden state ({why})")
    if trial.game.num_actions > 1:
        rows = trial.game.num_actions
        same = state[:1].expand(rows, *model.state_shape).contiguous()
        with torch.no_grad():
            outputs, after = model.step(same, trial.dynamics_actions(rows))
        if bool((outputs == outputs[:1]).all()) and bool((after == after[:1]).all()):
            raise OwnCodeError(
                "every action has the same reward and the same next state: its dynamics ignores the action"
            )
    low, high = (float(bound) for bound in state.aminmax())
    seen = ", of images less their mean" if model.mean_image is not None else ""
    return f"from {low:.3g} to {high:.3g}, state_scaling {scaling!r}{seen}"


def _published(trial: Trial) -> str:
    expected = list(_outputs(trial, trial.observations(_ROWS)))
    flat, whole = trial.made(1).eval(), trial.made(2).eval()
    FlatWeights(flat).write(FlatWeights(trial.model).read())
    restore_model(whole, Checkpoint(numpy_state(trial.model), {}, {}))
    for how, model in (("published weights", flat), ("a checkpoint", whole)):
        for (what, one), (_, other) in zip(expected, _outputs(trial, trial.observations(_ROWS), model), strict=True):
            if not torch.equal(one, other):
                raise OwnCodeError(
                    f"{what} of a second model with {how} is another: what is not a floating-point parameter or buffer "
                    "must be the same in every process"
                )
    return f"a second model with the same {count(len(trial.model.state_dict()))} tensors answers the same"


def _gradients(trial: Trial) -> str:
    model, step = trial.training_step()
    result = step(trial.batch())
    if result.skipped:
        raise OwnCodeError("a training step on random targets is not finite")
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not parameter.grad.any():
            raise OwnCodeError(f"no gradient reaches {name}: remove it, or use it in all that is trained")
    return f"reach all {count(len(step.optimizer.parameters))} parameters; the loss is finite"


def _outputs(trial: Trial, observation: Tensor, model: Model | None = None) -> Iterator[tuple[str, Tensor]]:
    """What it says of these observations and of the states after one action, by name."""
    model = model or trial.model
    for place, output in zip(("", " after an action"), trial.walk(model, observation), strict=True):
        for what, tensor in named_outputs(model, output).items():
            yield f"{what}{place}", tensor


def _apart(one: Tensor, other: Tensor) -> float:
    return float(np.abs((one - other).numpy()).max() / (1.0 + one.abs().max()))


LOOKS: dict[str, Callable[[Trial], str]] = {
    "shapes": _shapes,
    "finite": _finite,
    "repeats": _repeats,
    "rows": _rows,
    "inputs": _inputs,
    "states": _states,
    "published": _published,
    "gradients": _gradients,
}
