"""Monte Carlo tree search: the settings of `mzpipe.search`."""

from typing import Annotated, Literal

from pydantic import Field

from .base import Fraction, NonNegativeFloat, PositiveFloat, section


@section(frozen=True)
class SearchConfig:
    """How a move is searched (MuZero, Schrittwieser et al. 2020, appendix B)."""

    # Network calls per move after the root's.
    num_simulations: Annotated[int, Field(ge=1, le=2000)] = 50
    # Reward discount per move; negative where two players alternate.
    discount: Annotated[float, Field(ge=-1.0, le=1.0)] = 0.997
    policy: Literal["puct"] = "puct"
    # The two constants of the pUCT exploration term (appendix B, equation 2).
    pb_c_init: NonNegativeFloat = 1.25
    pb_c_base: PositiveFloat = 19652.0
    # Where Q is scaled to [0, 1]: over everything seen in this tree (the paper).
    q_normalization: Literal["tree"] = "tree"
    # Exploration noise mixed into the root's prior over legal actions.
    root_dirichlet_alpha: PositiveFloat = 0.25
    root_exploration_fraction: Fraction = 0.25
