"""The model: initial_inference and recurrent_inference over the three functions.

The last layers of the policy, value and reward heads (or of the value prefix
instead of the reward head) start at zero, as in EfficientZero: uniform policy,
value 0, reward 0. Everything else keeps torch's default initialisation, and a
network of the user's own keeps its.

Shape legend    B samples   A actions, and after them codes of chance
                M outputs of a value or reward head: logits of categories, or one plain number
"""

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..config import NetworkConfig
from .build import build_encoder, build_functions
from .candidates import make_sampler
from .chance import Encoder
from .consistency import Consistency
from .reconstruction import make_decoder
from .support import head_scalar, scale_hidden_state

_MAX_PIXEL = 255.0
# Batches from which the mean image is taken. It is fixed afterwards: a moving one would be one more thing that lags.
_MEAN_IMAGE_BATCHES = 100


class NetworkOutput(NamedTuple):
    """Outputs of one inference; reward_logits_BM is None at the root.

    With value prefix, reward_logits_BM predict the sum of rewards since the last reset, and reward_B is the reward of
    the step itself; without it, reward_B is None. Where actions are vectors, the candidates follow the logits of their
    places, [B, K + K * D].
    """

    hidden_state: Tensor
    reward_logits_BM: Tensor | None
    value_logits_BM: Tensor
    policy_logits_BA: Tensor
    reward_B: Tensor | None = None


class Model(nn.Module):
    """MuZero's three functions (Schrittwieser et al. 2020); hidden states are scaled to [0, 1] or left as they are.

    state_shape is the shape of the hidden state; hidden_shape is the shape that initial_ and recurrent_inference take
    and return for a node: the same, or with value prefix the state and the node's memory in one flat vector. Bins are
    None if the heads output plain numbers. training_heads adds the modules that only the learner needs.

    With action_size D > 0 actions are vectors: `step` takes them, recurrent_inference takes places among num_actions
    candidates, which `sampler` draws (see `candidates`) and a node's hidden state carries after its state.

    With chance (see `chance`) an action leads to an afterstate, and code c, as action num_actions + c, to the next
    state; num_places is the number of both, and of policy logits.
    """

    value_bins: Tensor | None
    reward_bins: Tensor | None
    # The mean of the first batches' observations, in [0, 1], which the representation does not see; None: it sees all.
    mean_image: Tensor | None

    def __init__(
        self,
        config: NetworkConfig,
        observation_shape: tuple[int, ...],
        num_actions: int,
        *,
        action_size: int = 0,
        training_heads: bool = False,
    ) -> None:
        super().__init__()
        self.config, self.observation_shape = config, observation_shape
        self.num_actions, self.num_places = num_actions, num_actions + config.chance_codes
        functions = build_functions(config, observation_shape, num_actions, action_size)
        self.representation, self.dynamics, self.prediction, self.value_prefix, self.state_shape = functions
        self.state_size = prod(self.state_shape)
        memory_size = 0 if self.value_prefix is None else self.value_prefix.memory_size
        self.hidden_shape = (self.state_size + memory_size,) if memory_size else self.state_shape
        self.sampler = make_sampler(config, num_actions, action_size, self.state_size) if action_size else None
        num_numbers = 0 if self.sampler is None else self.sampler.num_numbers
        if num_numbers:
            self.hidden_shape = (self.state_size + num_numbers,)
        self.num_policy_columns = self.num_places + num_numbers  # of NetworkOutput.policy_logits_BA
        if not config.is_own:
            _zero_last_layers(self)
        for name, size in (("value_bins", config.value_support_size), ("reward_bins", config.reward_support_size)):
            bins = torch.arange(-size, size + 1, dtype=torch.float32) if config.heads == "categorical" else None
            self.register_buffer(name, bins, persistent=False)
        self.register_buffer("mean_image", torch.zeros(observation_shape) if config.mean_image else None)
        parts = make_training_parts(config, self.state_shape, observation_shape) if training_heads else TrainingParts()
        self.consistency, self.decoder, self.encoder = parts

    def represent(self, observation: Tensor) -> Tensor:
        """h: the state of stacked observations [B, ...]."""
        return self.represent_observed(self.observe(observation))

    def observe(self, observation: Tensor) -> Tensor:
        """What the representation function sees: uint8 images scaled to [0, 1], without the mean image."""
        observed = _unit_image(observation)
        return observed if self.mean_image is None else observed - self.mean_image

    def represent_observed(self, observed: Tensor) -> Tensor:
        """h of what `observe` returned."""
        return self._scaled(self.representation(observed))

    @torch.no_grad()
    def take_mean(self, observation: Tensor, weight: float | Tensor) -> None:
        """Takes a batch into the mean image with this weight, which `mean_image_weight` knows."""
        if self.mean_image is not None and (isinstance(weight, Tensor) or weight > 0.0):
            self.mean_image.lerp_(_unit_image(observation).mean(0), weight)

    def step(self, state: Tensor, action_B: Tensor) -> tuple[Tensor, Tensor]:
        """g: the reward outputs of the action (features for the value prefix, if there is one) and the next state."""
        reward_outputs, unscaled = self.dynamics(state, action_B)
        return reward_outputs, self._scaled(unscaled)

    def initial_inference(self, observation: Tensor) -> NetworkOutput:
        """f(h(o)): the value and policy of an observed state."""
        state = self.represent(observation)
        if self.sampler is not None:
            return self.sampled_output(state, None)
        policy_logits, value_logits = self.prediction(state)
        if self.value_prefix is not None:
            state = torch.cat([state.flatten(1), self.value_prefix.root_memory(state)], dim=1)
        return NetworkOutput(state, None, value_logits, policy_logits)

    def recurrent_inference(self, hidden_state: Tensor, action_B: Tensor) -> NetworkOutput:
        """f(g(s, a)): the reward of the action, and the value and policy of the next state."""
        if self.value_prefix is not None:
            return self._prefixed_inference(hidden_state, action_B)
        if self.sampler is not None:
            vector_BD = self.sampler.looked_up(hidden_state[:, self.state_size :], action_B)
            state = hidden_state[:, : self.state_size].unflatten(1, self.state_shape)
            reward_logits, state = self.step(state, vector_BD)
            return self.sampled_output(state, reward_logits)
        reward_logits, next_hidden_state = self.step(hidden_state, action_B)
        policy_logits, value_logits = self.prediction(next_hidden_state)
        return NetworkOutput(next_hidden_state, reward_logits, value_logits, policy_logits)

    def sampled_output(self, state: Tensor, reward_logits_BM: Tensor | None) -> NetworkOutput:
        """The output for a state whose candidates are drawn; its hidden state carries them."""
        assert self.sampler is not None
        outputs, value_logits = self.prediction(state)
        candidates_BV, logits_BK = self.sampler(outputs, state.flatten(1))
        hidden_state = torch.cat([state.flatten(1), candidates_BV.to(state.dtype)], dim=1)
        return NetworkOutput(hidden_state, reward_logits_BM, value_logits, torch.cat([logits_BK, candidates_BV], dim=1))

    def no_action(self, device: torch.device) -> Tensor:
        """An action [1, ...] as `step` takes it, of zeros."""
        if self.sampler is None:
            return torch.zeros(1, dtype=torch.int32, device=device)
        return torch.zeros(1, self.sampler.action_size, device=device)

    def _prefixed_inference(self, hidden_state: Tensor, action_B: Tensor) -> NetworkOutput:
        """recurrent_inference with the state and the value prefix's memory in one vector."""
        assert self.value_prefix is not None
        state, memory = hidden_state.tensor_split([self.state_size], dim=1)
        features, state = self.step(state.unflatten(1, self.state_shape), action_B)
        outputs, reward_B, memory = self.value_prefix.step(features, memory, self._reward_scalar)
        policy_logits, value_logits = self.prediction(state)
        return NetworkOutput(torch.cat([state.flatten(1), memory], 1), outputs, value_logits, policy_logits, reward_B)

    def value(self, output: NetworkOutput) -> Tensor:
        """Scalar values [B]."""
        return head_scalar(output.value_logits_BM, self.value_bins)

    def reward(self, output: NetworkOutput) -> Tensor:
        """Scalar rewards [B] of the step, with value prefix too; zero at the root."""
        if output.reward_logits_BM is None:
            return torch.zeros(len(output.value_logits_BM), device=output.value_logits_BM.device)
        return self._reward_scalar(output.reward_logits_BM) if output.reward_B is None else output.reward_B

    def _reward_scalar(self, outputs_BM: Tensor) -> Tensor:
        return head_scalar(outputs_BM, self.reward_bins)

    def _scaled(self, state: Tensor) -> Tensor:
        return scale_hidden_state(state) if self.config.state_scaling == "min-max" else state


def mean_image_weight(learner_steps: int) -> float:
    """The weight in the mean image of the batch of the step after `learner_steps`; 0 for all but the first batches."""
    return 1.0 / (learner_steps + 1) if learner_steps < _MEAN_IMAGE_BATCHES else 0.0


def _unit_image(observation: Tensor) -> Tensor:
    return observation.float() / _MAX_PIXEL if observation.dtype == torch.uint8 else observation


def sizing_device(config: NetworkConfig) -> torch.device:
    """Where a model is made only for its sizes: where nothing takes memory, or the CPU if its code is the user's."""
    return torch.device("cpu" if config.is_own else "meta")


class TrainingParts(NamedTuple):
    """The modules of a model that only the learner has, in the order of ipc/diagnostics.TRAINING_PARTS."""

    consistency: Consistency | None = None
    decoder: nn.Module | None = None
    encoder: Encoder | None = None


def make_training_parts(
    config: NetworkConfig, state_shape: tuple[int, ...], observation_shape: tuple[int, ...]
) -> TrainingParts:
    """The training-only modules of a model with such states; None where the profile has one off."""
    return TrainingParts(
        make_consistency(config, state_shape),
        make_decoder(config, state_shape, observation_shape),
        build_encoder(config, observation_shape),
    )


def make_consistency(config: NetworkConfig, state_shape: tuple[int, ...]) -> Consistency | None:
    """The consistency loss's modules; None if the profile has it off."""
    if not config.consistency:
        return None
    return Consistency(prod(state_shape), config.consistency_projection_size, config.consistency_hidden_size)


def training_only_names(model: Model) -> set[str]:
    """The names that this model's state has only with training heads."""
    with torch.device("meta"):
        parts = make_training_parts(model.config, model.state_shape, model.observation_shape)._asdict()
    return {f"{part}.{name}" for part, module in parts.items() if module is not None for name in module.state_dict()}


def _zero_last_layers(model: Model) -> None:
    """Makes value, reward and policy start at zero (uniform categories), as in EfficientZero's recipe."""
    reward = model.value_prefix if model.value_prefix is not None else model.dynamics.reward
    for head in (model.prediction.policy, model.prediction.value, reward):
        last = getattr(head, "out", head)
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
