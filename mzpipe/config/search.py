"""Monte Carlo tree search: the settings of `mzpipe.search`."""

from typing import Annotated, Literal

from .base import AfterValidator, Field, Fraction, PositiveInt, section

# The search computes in float32: within these bounds its settings keep its scores finite.
Factor = Annotated[float, Field(ge=0.0, le=1e6)]
Bound = Annotated[float, Field(ge=-1e9, le=1e9)]
_LEAST_SPREAD = 1e-6
MOST_SIMULATIONS = 2000


def _apart(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[1] - bounds[0] < _LEAST_SPREAD:
        raise ValueError(f"the first must be less than the second by {_LEAST_SPREAD}")
    return bounds


@section(frozen=True)
class SearchConfig:
    """How a move is searched (MuZero, Schrittwieser et al. 2020, appendix B; Gumbel MuZero, Danihelka et al. 2022)."""

    num_simulations: Annotated[int, Field(ge=1, le=MOST_SIMULATIONS)] = 50
    """Network calls per move after the root's."""

    discount: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.997
    """Reward discount per move, from -1 to 1; negative where two players alternate."""

    model: Literal["learned", "rules"] = "learned"
    """What the tree walks: "learned", the network's dynamics (MuZero), or "rules", the game's own (AlphaZero): board
    games, of which no dynamics is then learnt (docs/games.md)."""

    policy: Literal["puct", "gumbel"] = "puct"
    """pUCT with visit counts as the policy target, or Gumbel MuZero with its improved policy."""

    pb_c_init: Factor = 1.25
    """pUCT's first constant, the weight of the prior (appendix B, equation 2)."""

    pb_c_base: Annotated[float, Field(ge=1e-6, le=1e12)] = 19652.0
    """pUCT's second constant: the number of visits from which exploration grows (appendix B, equation 2)."""

    q_normalization: Literal["tree", "siblings", "bounds"] = "tree"
    """The range that pUCT scales to [0, 1]: every Q seen in this "tree" (the paper), a node's value and its visited
    edges ("siblings", mctx), or the "bounds" of q_bounds."""

    q_bounds: Annotated[tuple[Bound, Bound], AfterValidator(_apart)] = (-1.0, 1.0)
    """The range of Q for q_normalization="bounds"; the second is greater than the first by at least 1e-6."""

    min_q_spread: Annotated[float, Field(ge=1e-8, le=1e6)] = 1e-8
    """The least spread of Q that is scaled to [0, 1], for "tree", "siblings" and rescale_values; less counts as this.
    EfficientZero: 0.01."""

    unvisited_q: Literal["zero", "mean"] = "zero"
    """pUCT's Q of an unvisited action: 0 after scaling, so the worst of the range (the paper, mctx), or the mean of its
    visited siblings and of the path to its node (EfficientZero); see docs/search.md."""

    root_dirichlet_alpha: Annotated[float, Field(ge=1e-6, le=1e6)] = 0.25
    """Concentration of the Dirichlet noise that pUCT mixes into the root's prior over legal actions."""

    root_exploration_fraction: Fraction = 0.25
    """The noise's part of the root's prior; 0: no noise."""

    max_num_considered_actions: PositiveInt = 16
    """Gumbel: root actions that sequential halving considers."""

    gumbel_scale: Factor = 1.0
    """Gumbel: scale of the noise that picks the considered actions; 0: none."""

    value_scale: Factor = 0.1
    """Gumbel: weight of completed Q against the prior's logits: (maxvisit_init + most visits) * value_scale. Board
    games: 1.0."""

    maxvisit_init: Factor = 50.0
    """Gumbel: visits added to the most visited action's, in the weight of completed Q."""

    rescale_values: bool = True
    """Gumbel: completed Q is scaled to [0, 1] per node before it is weighed."""
