"""Candidates: the actions that a state is searched over where actions are vectors (Sampled MuZero, Hubert et al. 2021).

    policy outputs [B, P], state [B, S]   --the sampler-->   candidates [B, K * D], prior logits [B, K]

Every number of an action lies in -1 .. 1; the game scales it. The policy pi is one of

| network.action_head | outputs of a number | distribution |
|---|---|---|
| squashed-gaussian | mean, spread | tanh of a normal one |
| bins | a logit for each bin | network.action_bins values, evenly from -1 to 1 |

Candidates are drawn from beta, pi at the temperature t = network.sample_temperature: pi^(1/t), before tanh. The prior
of the search is the paper's corrected one, (beta_hat / beta) pi: each of the K draws is an edge of its own and counts
pi / beta. With t = 1 the prior is uniform over the draws, and an action that is drawn twice counts twice.

The noise is a function of the state: K points that fill the unit cube evenly, shifted modulo 1 by a fixed linear
function of the state. So a state has the same candidates wherever the same weights see it: in torch, in ONNX, in a
captured graph, in training and in evaluation. Other states, and other weights, have other ones. K even points cover a
distribution better than K independent draws, and each point alone is uniform over the states.

Shape legend    B samples   K candidates   D numbers of an action   P policy outputs   S numbers of a state   N bins
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, softplus

from ..config import NetworkConfig

# The shift of a dimension is this wide a sum of the state's numbers: states that differ a little differ in it.
_SHIFT_SCALE = 4.0
# Draws lie within 2.93 standard deviations: there the inverse of the normal distribution is one polynomial.
_LEAST_SHARE = 0.0017
# Giles, "Approximating the erfinv function" (2012), single precision, central part; the last coefficient is constant.
_ERFINV = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
# Bounds before tanh: of means, of draws, and the least standard deviation, below which a policy would stop to explore.
_MOST_MEAN, _MOST_DRAW, _LEAST_SPREAD = 2.5, 4.0, 0.1
# softplus of it, and the least spread, is 1: with outputs of zero the policy is tanh of a standard normal.
_FIRST_SPREAD = math.log(math.expm1(1.0 - _LEAST_SPREAD))


class Sampler(nn.Module):
    """Draws candidates and knows their probabilities; subclasses say what the policy is."""

    points_KD: Tensor
    shift_SD: Tensor

    def __init__(self, num_candidates: int, action_size: int, state_size: int, temperature: float) -> None:
        super().__init__()
        self.num_candidates, self.action_size = num_candidates, action_size
        self.num_numbers, self._temperature = num_candidates * action_size, temperature
        directions = np.random.default_rng(0).uniform(-_SHIFT_SCALE, _SHIFT_SCALE, (state_size, action_size))
        self.register_buffer("points_KD", torch.tensor(even_points(num_candidates, action_size)), persistent=False)
        self.register_buffer("shift_SD", torch.tensor(directions.astype(np.float32)), persistent=False)

    def forward(self, outputs_BP: Tensor, state_BS: Tensor) -> tuple[Tensor, Tensor]:
        """Candidates [B, K * D] and their prior logits [B, K], float32."""
        outputs_BP = outputs_BP.float()
        shift_BD = state_BS.float() @ self.shift_SD
        share_BKD = self.points_KD + shift_BD.unsqueeze(1)
        candidates_BV = self._draw(outputs_BP, share_BKD - share_BKD.floor()).flatten(1)
        if self._temperature == 1.0:
            return candidates_BV, 0.0 * share_BKD[:, :, 0]  # a product, because a traced graph fixes the size of zeros
        ratio_BK = self.log_prob(outputs_BP, candidates_BV) - self.log_prob(outputs_BP, candidates_BV, flat=True)
        return candidates_BV, ratio_BK

    def looked_up(self, candidates_BV: Tensor, place_B: Tensor) -> Tensor:
        """The action vectors [B, D] at these places among the candidates."""
        candidates_BKD = candidates_BV.unflatten(1, (self.num_candidates, self.action_size))
        place_B1D = place_B.to(torch.int64).view(-1, 1, 1).expand(-1, 1, self.action_size)
        return candidates_BKD.gather(1, place_B1D).squeeze(1)

    def log_prob(self, outputs: Tensor, candidates: Tensor, *, flat: bool = False) -> Tensor:
        """ln pi (of beta, if `flat`) of candidates [..., K * D] under policy outputs [..., P], [..., K]."""
        vectors = candidates.unflatten(-1, (-1, self.action_size))
        return self._log_prob(outputs.float().unsqueeze(-2), vectors.float(), self._temperature if flat else 1.0)

    def entropy(self, outputs: Tensor) -> Tensor:
        """The entropy in nats of the policy [...], of a Gaussian before it is squashed."""
        raise NotImplementedError

    def _draw(self, outputs_BP: Tensor, share_BKD: Tensor) -> Tensor:
        """The vectors [B, K, D] below which beta has these shares of its probability, number by number."""
        raise NotImplementedError

    def _log_prob(self, outputs: Tensor, vectors: Tensor, temperature: float) -> Tensor:
        """The logarithm of the probability of vectors [..., K, D] under outputs [..., 1, P], [..., K]."""
        raise NotImplementedError


class SquashedGaussian(Sampler):
    """tanh of independent normal distributions (Haarnoja et al. 2018, appendix C)."""

    def entropy(self, outputs: Tensor) -> Tensor:
        """That of the normal distributions."""
        _, spread = _normal(outputs.float())
        return (spread.log() + 0.5 * math.log(2.0 * math.pi * math.e)).sum(-1)

    def _draw(self, outputs_BP: Tensor, share_BKD: Tensor) -> Tensor:
        mean_BD, spread_BD = _normal(outputs_BP)
        spread_BD = spread_BD * math.sqrt(self._temperature)
        draw_BKD = mean_BD.unsqueeze(1) + spread_BD.unsqueeze(1) * normal_quantile(share_BKD)
        return draw_BKD.clamp(-_MOST_DRAW, _MOST_DRAW).tanh()

    def _log_prob(self, outputs: Tensor, vectors: Tensor, temperature: float) -> Tensor:
        mean, spread = _normal(outputs)
        spread = spread * math.sqrt(temperature)
        most = math.tanh(_MOST_DRAW)
        vectors = vectors.clamp(-most, most)
        density = -0.5 * ((vectors.atanh() - mean) / spread).square() - spread.log() - 0.5 * math.log(2.0 * math.pi)
        return (density - torch.log1p(-vectors.square())).sum(-1)


class Bins(Sampler):
    """Independent categorical distributions over evenly spaced values."""

    values_N: Tensor

    def __init__(
        self, num_candidates: int, action_size: int, state_size: int, temperature: float, num_bins: int
    ) -> None:
        super().__init__(num_candidates, action_size, state_size, temperature)
        self._num_bins = num_bins
        self.register_buffer("values_N", torch.linspace(-1.0, 1.0, num_bins), persistent=False)

    def entropy(self, outputs: Tensor) -> Tensor:
        """The sum of all numbers' entropies."""
        log_prob = self._log_bins(outputs.float(), 1.0)
        return -(log_prob.exp() * log_prob).sum((-1, -2))

    def _draw(self, outputs_BP: Tensor, share_BKD: Tensor) -> Tensor:
        below_BDN = self._log_bins(outputs_BP, self._temperature).exp().cumsum(-1)
        bin_BKD = (below_BDN[:, None, :, :-1] <= share_BKD.unsqueeze(-1)).to(torch.float32).sum(-1)
        return bin_BKD * (2.0 / (self._num_bins - 1)) - 1.0

    def _log_prob(self, outputs: Tensor, vectors: Tensor, temperature: float) -> Tensor:
        half = 1.0 / (self._num_bins - 1)
        chosen = ((vectors.unsqueeze(-1) - self.values_N).abs() < half).to(torch.float32)
        return (chosen * self._log_bins(outputs, temperature)).sum((-1, -2))

    def _log_bins(self, outputs: Tensor, temperature: float) -> Tensor:
        return log_softmax(outputs.unflatten(-1, (self.action_size, self._num_bins)) / temperature, dim=-1)


def make_sampler(config: NetworkConfig, num_candidates: int, action_size: int, state_size: int) -> Sampler:
    """The sampler of a model for states of this size."""
    sizes = (num_candidates, action_size, state_size, config.sample_temperature)
    return Bins(*sizes, config.action_bins) if config.action_head == "bins" else SquashedGaussian(*sizes)


def policy_outputs(config: NetworkConfig, num_actions: int, action_size: int) -> int:
    """The number of a policy head's outputs: one for each action, or those of the distributions of vectors."""
    if not action_size:
        return num_actions + config.chance_codes
    return action_size * (config.action_bins if config.action_head == "bins" else 2)


def even_points(num_points: int, size: int) -> np.ndarray:
    """Points that fill the unit cube evenly, float32 [num_points, size]: a Latin hypercube.

    Every number alone is stratified exactly. Points are in the order of Roberts' R-sequence, Kronecker's with the
    powers of the root g of g^(size + 1) = g + 1, so that pairs of numbers are even too.
    """
    root = 2.0
    for _ in range(64):
        root = (1.0 + root) ** (1.0 / (size + 1))
    steps_D = root ** -np.arange(1.0, size + 1.0)
    sequence_KD = np.arange(1.0, num_points + 1.0)[:, None] * steps_D % 1.0
    rank_KD = sequence_KD.argsort(axis=0).argsort(axis=0)
    return (rank_KD / num_points).astype(np.float32)


def normal_quantile(share: Tensor) -> Tensor:
    """The standard normal's number below which this share of it lies, cut off at +-2.93."""
    share = share.clamp(_LEAST_SHARE, 1.0 - _LEAST_SHARE)
    w = -torch.log(4.0 * share * (1.0 - share)) - 2.5
    polynomial = _ERFINV[0] * w + _ERFINV[1]
    for coefficient in _ERFINV[2:]:
        polynomial = polynomial * w + coefficient
    return math.sqrt(2.0) * polynomial * (2.0 * share - 1.0)


def _normal(outputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each number, before tanh."""
    mean, spread = outputs.chunk(2, dim=-1)
    return _MOST_MEAN * torch.tanh(mean / _MOST_MEAN), _LEAST_SPREAD + softplus(spread + _FIRST_SPREAD)
