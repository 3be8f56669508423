"""Monte Carlo tree search: the settings of `mzpipe.search`."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .base import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt, section


@section(frozen=True)
class SearchConfig:
    """How a move is searched (MuZero, Schrittwieser et al. 2020, appendix B; Gumbel MuZero, Danihelka et al. 2022)."""

    # Network calls per move after the root's.
    num_simulations: Annotated[int, Field(ge=1, le=2000)] = 50
    # Reward discount per move; negative where two players alternate.
    discount: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.997
    # pUCT with visit counts as the policy target, or Gumbel MuZero with its improved policy.
    policy: Literal["puct", "gumbel"] = "puct"
    # The two constants of the pUCT exploration term (appendix B, equation 2).
    pb_c_init: NonNegativeFloat = 1.25
    pb_c_base: PositiveFloat = 19652.0
    # Where pUCT scales Q to [0, 1]: over everything seen in this tree (the paper), over a node's value and its visited
    # edges (mctx), or over q_bounds.
    q_normalization: Literal["tree", "siblings", "bounds"] = "tree"
    q_bounds: tuple[float, float] = (-1.0, 1.0)
    # Exploration noise that pUCT mixes into the root's prior over legal actions.
    root_dirichlet_alpha: PositiveFloat = 0.25
    root_exploration_fraction: Fraction = 0.25
    # Gumbel: root actions that sequential halving considers, and the scale of the noise that picks them (0: none).
    max_num_considered_actions: PositiveInt = 16
    gumbel_scale: NonNegativeFloat = 1.0
    # Gumbel: completed Q counts (maxvisit_init + most visits) * value_scale, after scaling to [0, 1] per node if
    # rescale_values is set. Board games: value_scale 1.0.
    value_scale: NonNegativeFloat = 0.1
    maxvisit_init: NonNegativeFloat = 50.0
    rescale_values: bool = True

    @model_validator(mode="after")
    def _bounds_are_ordered(self):
        low, high = self.q_bounds
        if not low < high:
            raise ValueError(f"q_bounds={self.q_bounds}: the first must be less than the second")
        return self
