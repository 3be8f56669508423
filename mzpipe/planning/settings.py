"""Search settings as a role needs them."""

import dataclasses

from ..config import SearchConfig


def signed_search(config: SearchConfig, num_players: int) -> SearchConfig:
    """With the discount's sign: negative where two players alternate, whatever sign the profile gives."""
    sign = -1.0 if num_players == 2 else 1.0
    return dataclasses.replace(config, discount=sign * abs(config.discount))


def greedy_search(config: SearchConfig, num_simulations: int) -> SearchConfig:
    """Without root noise, for evaluation; num_simulations 0 keeps the training's."""
    simulations = num_simulations or config.num_simulations
    return dataclasses.replace(config, root_exploration_fraction=0.0, gumbel_scale=0.0, num_simulations=simulations)
