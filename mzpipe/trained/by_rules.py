"""A network in this process as the evaluation of a search that walks the game's own rules.

Shape legend    R rows of a batch   C = 2 + A columns   S... one stacked observation
"""

import numpy as np

from ..config import GameConfig
from ..games import WalkableGame
from ..nets.engines import Network
from ..planning import RulesModel


class RulesWithNetwork:
    """See `searches.Walked`: `games` must be those whose positions the observations of the next roots show."""

    games: WalkableGame

    def __init__(self, network: Network, config: GameConfig, num_rows: int, num_nodes: int) -> None:
        self._network, self._row_R = network, np.arange(num_rows)
        self._rules = RulesModel(config, num_rows=num_rows, num_nodes=num_nodes)

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """The network's answers for the games' positions."""
        self._rules.begin(self.games, observation_R, target_R)
        return self.evaluate(observation_R, target_R)

    def evaluate(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """The network's answers for any observations; no node changes."""
        return self._network.infer_roots(observation_R, self._row_R[: len(observation_R)])

    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """The rules' rewards, and the network's answers for the new positions, as RulesModel corrects them."""
        observation_RS = self._rules.step(source_R, target_R, action_R)
        answer_RC = self.evaluate(observation_RS, target_R)
        reward_R, value_R, policy_logits_RA = self._rules.evaluation(answer_RC[:, 1], answer_RC[:, 2:])
        return np.concatenate([reward_R[:, None], value_R[:, None], policy_logits_RA], axis=1)
