"""The two inferences from rows to rows of the pool, as torch operations that a graph can hold.

    row_F = [ state : S ]                                               without value prefix
    row_F = [ prefix, steps : 2 float32 | state : S | h : U | c : U ]   with it (see `nets.value_prefix`)
    row_F = [ state : S | candidates : V ]                              with vectors for actions (`nets.candidates`)

A state of planes lies channels last. Rows have the type of the network, so in bfloat16 a state is rounded once; prefix
and steps keep float32, because a reward is the difference of two prefixes. Scalars and logits are made in float32.

Shape legend    R rows of a batch   F numbers of a row   S numbers of a state   U LSTM units   A actions   C = 2 + A
"""

import torch
from torch import Tensor

from .. import Model
from ..support import head_scalar, scale_hidden_state
from ..value_prefix import ValuePrefix

# Numbers of float32 before the state of a row with value prefix.
_SUMS = 2
# Axes of a state of planes: channels, rows, columns.
_PLANES = 3


class RowModel:
    """A model, its weights in `dtype`, over rows."""

    def __init__(self, model: Model, dtype: torch.dtype) -> None:
        self._model, self._dtype, prefix = model, dtype, model.value_prefix
        self._begin = 0 if prefix is None else _SUMS * (torch.float32.itemsize // dtype.itemsize)
        self._end = self._begin + model.state_size
        self._sampler = model.sampler
        self.row_size = self._end + (0 if prefix is None else 2 * prefix.lstm_size)
        self.row_size += 0 if self._sampler is None else self._sampler.num_numbers
        self._is_planes = len(model.state_shape) == _PLANES

    def pool(self, num_rows: int, device: torch.device) -> Tensor:
        """A pool of zeros; the width is even, so that prefixes lie where float32 may lie."""
        return torch.zeros(num_rows, self.row_size + self.row_size % 2, dtype=self._dtype, device=device)

    def store(self, pool: Tensor, target_R: Tensor, row_RF: Tensor) -> None:
        """Writes rows into the pool."""
        pool[:, : self.row_size].index_copy_(0, target_R, row_RF)

    def root(self, observation_R: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [R, F] and answers [R, C] of observations."""
        observed = self._model.observe(observation_R).to(self._dtype)
        state_RS = self._scaled(self._model.representation(observed))
        row_RF = state_RS
        if self._model.value_prefix is not None:
            row_RF = state_RS.new_zeros(len(state_RS), self.row_size)
            row_RF[:, self._begin : self._end] = state_RS
        answer_RC = self._answer(torch.zeros(len(state_RS), device=state_RS.device), state_RS)
        return self._with_candidates(row_RF, answer_RC), answer_RC

    def child(self, row_RF: Tensor, action_R: Tensor) -> tuple[Tensor, Tensor]:
        """Rows [R, F] and answers [R, C] of the children by these actions of whole rows of the pool."""
        action = action_R
        if self._sampler is not None:
            action = self._sampler.looked_up(row_RF[:, self._end : self.row_size], action_R)
        outputs, unscaled = self._model.dynamics(self._state(row_RF[:, self._begin : self._end]), action)
        state_RS, prefix = self._scaled(unscaled), self._model.value_prefix
        if prefix is None:
            answer_RC = self._answer(head_scalar(outputs.float(), self._model.reward_bins), state_RS)
            return self._with_candidates(state_RS, answer_RC), answer_RC
        reward_R, child_RF = self._prefix_step(prefix, outputs, row_RF, state_RS)
        return child_RF, self._answer(reward_R, state_RS)

    def _prefix_step(
        self, prefix: ValuePrefix, features: Tensor, row_RF: Tensor, state_RS: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Rewards [R] of the step and rows [R, F] of the children, as `ValuePrefix.step` makes them."""
        sums_R2 = row_RF[:, : self._begin].view(torch.float32)
        h, c = row_RF[:, self._end : self.row_size].chunk(2, dim=1)
        outputs, (h, c) = prefix(features, (h, c))
        prefix_R, steps_R = head_scalar(outputs.float(), self._model.reward_bins), sums_R2[:, 1] + 1.0
        goes_on_R1 = (steps_R < prefix.horizon).unsqueeze(1)
        sums = torch.stack([prefix_R, steps_R], dim=1) * goes_on_R1
        child_RF = torch.cat([sums.view(self._dtype), state_RS, h * goes_on_R1, c * goes_on_R1], dim=1)
        return prefix_R - sums_R2[:, 0], child_RF

    def _answer(self, reward_R: Tensor, state_RS: Tensor) -> Tensor:
        policy_logits_RA, value_outputs = self._model.prediction(self._state(state_RS))
        value_R = head_scalar(value_outputs.float(), self._model.value_bins)
        if self._sampler is not None:
            candidates_RV, logits_RK = self._sampler(policy_logits_RA, self._state(state_RS).flatten(1))
            # Rounded as a row keeps them: what is played is what the dynamics sees.
            policy_logits_RA = torch.cat([logits_RK, candidates_RV.to(self._dtype).float()], dim=1)
        return torch.cat([reward_R.unsqueeze(1), value_R.unsqueeze(1), policy_logits_RA.float()], dim=1)

    def _with_candidates(self, row_RF: Tensor, answer_RC: Tensor) -> Tensor:
        """The rows, followed by the candidates that stand last in their answers, if there are any."""
        if self._sampler is None:
            return row_RF
        return torch.cat([row_RF, answer_RC[:, -self._sampler.num_numbers :].to(self._dtype)], dim=1)

    def _state(self, state_RS: Tensor) -> Tensor:
        """The state as the network takes it."""
        if not self._is_planes:
            return state_RS.unflatten(1, self._model.state_shape)
        channels, *grid = self._model.state_shape
        return state_RS.unflatten(1, (*grid, channels)).permute(0, 3, 1, 2)

    def _scaled(self, unscaled: Tensor) -> Tensor:
        """The state [R, S], scaled if the profile says so."""
        state_RS = (unscaled.permute(0, 2, 3, 1) if self._is_planes else unscaled).flatten(1).to(self._dtype)
        return scale_hidden_state(state_RS) if self._model.config.state_scaling == "min-max" else state_RS
