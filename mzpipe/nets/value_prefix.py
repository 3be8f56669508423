"""The value prefix: an LSTM that predicts the sum of rewards since its last reset (Ye et al. 2021, section 4.2).

In training the LSTM's state runs along the unroll and is reset every `horizon`
steps. In a search every node carries it as its `memory`, flat after the hidden
state, so that a pool of hidden states stores one vector per node:

    memory_BV = [ h : U | c : U | prefix : 1 | steps : 1 ]

prefix is the node's own predicted sum, and steps is the number of steps since
the reset. The memory of a root is zero, and so is that of a node `horizon` steps
below the reset, which resets its children. The reward of a step is the child's
sum minus its parent's. Sums are not discounted.

Shape legend    B samples   F features   U LSTM units   M outputs of a reward head   V = 2 U + 2
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .mlp import hidden_layer
from .norm import OVER_BATCH, Norms

LstmState = tuple[Tensor, Tensor]


class PrefixStep(NamedTuple):
    """The results of one step of a search: outputs for the sum, the step's own reward, the child's memory."""

    outputs_BM: Tensor
    reward_B: Tensor
    memory_BV: Tensor


class ValuePrefix(nn.Module):
    """The reward head of a model with value prefix."""

    def __init__(
        self,
        num_features: int,
        lstm_size: int,
        num_units: int,
        num_outputs: int,
        horizon: int,
        *,
        norm: bool = False,
        norms: Norms = OVER_BATCH,
    ) -> None:
        super().__init__()
        self.horizon, self.lstm_size, self.memory_size = horizon, lstm_size, 2 * lstm_size + 2
        self.lstm = nn.LSTMCell(num_features, lstm_size)
        hidden = hidden_layer(lstm_size, num_units, norm=norm, norms=norms)
        self.layers = nn.Sequential(norms.rows(lstm_size), nn.ReLU(), *hidden)
        self.out = nn.Linear(num_units, num_outputs)

    def forward(self, features_BF: Tensor, lstm: LstmState | None) -> tuple[Tensor, LstmState]:
        """Outputs [B, M] for the sum up to this step, and the LSTM's next state; `lstm` None is a reset."""
        lstm = self.lstm(features_BF, lstm)
        return self.out(self.layers(lstm[0])), lstm

    def step(self, features_BF: Tensor, memory_BV: Tensor, to_scalar: Callable[[Tensor], Tensor]) -> PrefixStep:
        """One step of a search below nodes with this memory."""
        (h, c), parent_prefix_B, parent_steps_B = self._unpack(memory_BV)
        outputs, (h, c) = self(features_BF, (h, c))
        prefix_B, steps_B = to_scalar(outputs), parent_steps_B + 1.0
        memory = torch.cat([h, c, prefix_B.unsqueeze(1), steps_B.unsqueeze(1)], dim=1)
        goes_on_B = (steps_B < self.horizon).to(memory.dtype)
        return PrefixStep(outputs, prefix_B - parent_prefix_B, memory * goes_on_B.unsqueeze(1))

    def root_memory(self, state: Tensor) -> Tensor:
        """The memory of roots with these hidden states."""
        return state.new_zeros(state.shape[0], self.memory_size)  # len() would fix the batch of a traced graph

    def _unpack(self, memory_BV: Tensor) -> tuple[LstmState, Tensor, Tensor]:
        size = self.lstm_size
        return (memory_BV[:, :size], memory_BV[:, size : 2 * size]), memory_BV[:, -2], memory_BV[:, -1]
