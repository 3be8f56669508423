"""Networks of a user's own: a sound one, and one that breaks a promise, by its name."""

import math
import sys

import torch
from torch import nn

CALLS = {"representation": 0}
HOUR = 20


class Plain:
    """A network with batch normalisation, whose state has the axes that `axes` says."""

    def __init__(self, observation_shape, num_actions, reward_outputs, value_outputs, width=8, axes=1):
        size, shape = math.prod(observation_shape), (width,) if axes == 1 else (width // 2, 2, 1)[:axes]
        self.representation = nn.Sequential(nn.Flatten(), *normed(size, width), nn.Unflatten(1, shape))
        self.dynamics = Dynamics(num_actions, reward_outputs, width, shape)
        self.prediction = Prediction(num_actions, value_outputs, width)


def normed(size_in, size):
    return nn.Linear(size_in, size), nn.BatchNorm1d(size), nn.Tanh()


class Dynamics(nn.Module):
    def __init__(self, num_actions, reward_outputs, width, shape):
        super().__init__()
        self.action = nn.Embedding(num_actions, width)
        self.step = nn.Sequential(*normed(width, width), nn.Linear(width, width))
        self.reward, self.shape = nn.Linear(width, reward_outputs), shape

    def forward(self, state, action):
        features = self.step(state.flatten(1) + self.action(action))
        return self.reward(features), features.unflatten(1, self.shape)


class Prediction(nn.Module):
    def __init__(self, num_actions, value_outputs, width):
        super().__init__()
        self.policy, self.value = nn.Linear(width, num_actions), nn.Linear(width, value_outputs)

    def forward(self, state):
        return self.policy(state.flatten(1)), self.value(state.flatten(1))


class Around(nn.Module):
    """Calls `change` with the outputs of a module, and its inputs."""

    def __init__(self, inner, change):
        super().__init__()
        self.inner, self.change = inner, change

    def forward(self, *inputs):
        return self.change(self.inner(*inputs), *inputs)


def unsteady(outputs, *inputs):
    return outputs + torch.rand_like(outputs)


def mixed(outputs, *inputs):
    return outputs - outputs.mean(0, keepdim=True)


def bent(outputs, *inputs):
    """Python chooses by the numbers; a trace keeps its first choice."""
    return outputs.flip(1) if float(inputs[0].abs().sum()) > 1e-9 else outputs


def later(outputs, *inputs):
    CALLS["representation"] += 1
    if CALLS["representation"] > HOUR:
        raise RuntimeError("the tenth hour")
    return outputs


def exits(outputs, *inputs):
    sys.exit(5)


def overwrites(outputs, *inputs):
    inputs[0].mul_(2.0)
    return outputs


def not_a_number(outputs, *inputs):
    return outputs / (inputs[0].flatten(1).abs().sum(1, keepdim=True))


CHANGES = {
    "unsteady": ("representation", unsteady),
    "mixed rows": ("representation", mixed),
    "bent": ("representation", bent),
    "later": ("representation", later),
    "exits": ("prediction", exits),
    "overwrites": ("dynamics", overwrites),
    "nan": ("representation", not_a_number),
    "one output": ("dynamics", lambda outputs, *inputs: outputs[0]),
    "no tensor": ("prediction", lambda outputs, *inputs: (outputs[0].tolist(), outputs[1])),
    "wide": ("representation", lambda outputs, *inputs: outputs.double()),
    "integers": ("prediction", lambda outputs, *inputs: (outputs[0].long(), outputs[1])),
    "no batch": ("representation", lambda outputs, *inputs: outputs[0]),
    "other state": ("dynamics", lambda outputs, *inputs: (outputs[0], outputs[1][:, :-1])),
    "reward": ("dynamics", lambda outputs, *inputs: (outputs[0][:, :1], outputs[1])),
    "policy": ("prediction", lambda outputs, *inputs: outputs[::-1]),
    "detached": ("representation", lambda outputs, *inputs: outputs.detach()),
    "constant": ("representation", lambda outputs, *inputs: torch.zeros_like(outputs)),
    "item": ("dynamics", lambda outputs, *inputs: (outputs[0] + 0.0 * outputs[0].sum().item(), outputs[1])),
}


class Faulty(Plain):
    """Plain with one fault."""

    def __init__(self, observation_shape, num_actions, reward_outputs, value_outputs, fault="", width=8):
        if fault == "constructor":
            raise RuntimeError("no memory of it")
        if fault == "constructor exits":
            sys.exit(3)
        super().__init__(observation_shape, num_actions, reward_outputs, value_outputs, width)
        if fault in CHANGES:
            name, change = CHANGES[fault]
            setattr(self, name, Around(getattr(self, name), change))
        match fault:
            case "no dynamics":
                del self.dynamics
            case "a method":
                self.prediction = self.prediction.forward
            case "shared":
                self.prediction.policy.weight = nn.Parameter(self.prediction.policy.weight)
                self.dynamics.again = self.prediction.policy
            case "frozen":
                self.prediction.policy.weight.requires_grad_(False)
            case "float64":
                self.prediction.register_buffer("table", torch.zeros(2, dtype=torch.float64))
            case "drawn constant":
                self.representation.add_module("order", Shuffled(width))
            case "in training":
                self.representation[2] = nn.BatchNorm1d(width, track_running_stats=False)


class Shuffled(nn.Module):
    """A permutation that each process draws anew, and that is not published: integers are not."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("order", torch.randperm(width))

    def forward(self, state):
        return state[:, self.order]


class Loose(nn.Module):
    """Has a parameter that is in none of the three modules."""

    def __init__(self, **sizes):
        super().__init__()
        plain = Plain(**sizes)
        self.representation, self.dynamics, self.prediction = plain.representation, plain.dynamics, plain.prediction
        self.scale = nn.Parameter(torch.ones(1))


class Deaf(Plain):
    """Its dynamics does not hear the action."""

    def __init__(self, observation_shape, num_actions, reward_outputs, value_outputs):
        super().__init__(observation_shape, num_actions, reward_outputs, value_outputs)
        self.dynamics = DeafDynamics(num_actions, reward_outputs, 8, (8,))


class DeafDynamics(Dynamics):
    def forward(self, state, action):
        return super().forward(state, torch.zeros_like(action))
