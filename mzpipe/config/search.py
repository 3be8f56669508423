"""Monte Carlo tree search: the settings of `mzpipe.search`."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from .base import Fraction, PositiveInt, section

# The search computes in float32: within these bounds its settings keep its scores finite.
Factor = Annotated[float, Field(ge=0.0, le=1e6)]
Bound = Annotated[float, Field(ge=-1e9, le=1e9)]
_LEAST_SPREAD = 1e-6


def _apart(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[1] - bounds[0] < _LEAST_SPREAD:
        raise ValueError(f"the first must be less than the second by {_LEAST_SPREAD}")
    return bounds


@section(frozen=True)
class SearchConfig:
    """How a move is searched (MuZero, Schrittwieser et al. 2020, appendix B; Gumbel MuZero, Danihelka et al. 2022)."""

    # Network calls per move after the root's.
    num_simulations: Annotated[int, Field(ge=1, le=2000)] = 50
    # Reward discount per move, from -1 to 1; negative where two players alternate.
    discount: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.997
    # pUCT with visit counts as the policy target, or Gumbel MuZero with its improved policy.
    policy: Literal["puct", "gumbel"] = "puct"
    # The two constants of the pUCT exploration term (appendix B, equation 2): 0 to 1e6, and 1e-6 to 1e12.
    pb_c_init: Factor = 1.25
    pb_c_base: Annotated[float, Field(ge=1e-6, le=1e12)] = 19652.0
    # The range that pUCT scales to [0, 1]: every Q seen in this tree (the paper), a node's value and its visited edges
    # (mctx), or q_bounds, which lie from -1e9 to 1e9 and at least 1e-6 apart.
    q_normalization: Literal["tree", "siblings", "bounds"] = "tree"
    q_bounds: Annotated[tuple[Bound, Bound], AfterValidator(_apart)] = (-1.0, 1.0)
    # The least spread of Q that is scaled to [0, 1], for "tree", "siblings" and rescale_values; less counts as this.
    # From 1e-8 to 1e6; EfficientZero: 0.01.
    min_q_spread: Annotated[float, Field(ge=1e-8, le=1e6)] = 1e-8
    # pUCT's Q of an unvisited action: 0 after scaling, so the worst of the range (the paper, mctx), or the mean of its
    # visited siblings and of the path to its node (EfficientZero); see docs/search.md.
    unvisited_q: Literal["zero", "mean"] = "zero"
    # Exploration noise that pUCT mixes into the root's prior over legal actions; alpha from 1e-6 to 1e6.
    root_dirichlet_alpha: Annotated[float, Field(ge=1e-6, le=1e6)] = 0.25
    root_exploration_fraction: Fraction = 0.25
    # Gumbel: root actions that sequential halving considers, and the scale of the noise that picks them (0: none), at
    # most 1e6.
    max_num_considered_actions: PositiveInt = 16
    gumbel_scale: Factor = 1.0
    # Gumbel: completed Q counts (maxvisit_init + most visits) * value_scale, after scaling to [0, 1] per node if
    # rescale_values is set; both settings are at most 1e6. Board games: value_scale 1.0.
    value_scale: Factor = 0.1
    maxvisit_init: Factor = 50.0
    rescale_values: bool = True
