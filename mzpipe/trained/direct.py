"""Direct: searches over a model in this process, for few games: no lane, no server, no other process.

Owns    the model on its device and a pool of hidden states there: [N, B, hidden state]

Shape legend    B trees   N nodes of a tree   A actions   S... one stacked observation   K actions in a row
"""

from typing import NamedTuple

import numpy as np
import torch

from ..config import SearchConfig
from ..nets import Model, NetworkOutput, place_model
from ..search import BatchedSearch, SearchedTree, SearchResult


class NetworkAnswer(NamedTuple):
    """What the model says of B states, in float32 on the host; rewards of observed states are 0."""

    reward_B: np.ndarray
    value_B: np.ndarray
    policy_logits_BA: np.ndarray


class DirectSearch:
    """One move of all trees at a time; the same visits as over a lane, for the same weights and seed.

    Threads of torch are left as the caller has set them.
    """

    def __init__(
        self, model: Model, config: SearchConfig, device: str, *, num_trees: int, num_actions: int, seed: int
    ) -> None:
        self.config = config
        self._model, self._device = place_model(model, device).eval(), torch.device(device)
        self._search = BatchedSearch(config, batch_size=num_trees, num_actions=num_actions, seed=seed)
        self._pool_NB = torch.zeros(config.num_simulations + 1, num_trees, *model.hidden_shape, device=self._device)
        self._tree_B = torch.arange(num_trees, device=self._device)

    @torch.inference_mode()
    def search(self, observation_BS: np.ndarray, legal_actions_BA: np.ndarray) -> SearchResult:
        """The search of one move; observations as FrameStack makes them.

        Raises SearchInputError for a tree without a legal action.
        """
        root = self._keep(0, self._model.initial_inference(self._on_device(observation_BS)))
        self._search.begin(root.policy_logits_BA, root.value_B, legal_actions_BA)
        for node in range(1, self.config.num_simulations + 1):
            parent_index_B, action_B = (self._on_device(array) for array in self._search.select())
            states = self._pool_NB[parent_index_B.long(), self._tree_B]
            self._search.backup(*self._keep(node, self._model.recurrent_inference(states, action_B)))
        return self._search.result()

    def best_action(self) -> np.ndarray:
        """action_B int32: what the last search would play."""
        return self._search.best_action()

    def tree(self, b: int = 0) -> SearchedTree:
        """A tree of the last search."""
        return self._search.tree(b)

    @torch.inference_mode()
    def unroll(self, observation_S: np.ndarray, action_K: np.ndarray) -> list[NetworkAnswer]:
        """What the model alone says of one observation, and after each of the actions: K + 1 answers with B = 1."""
        output = self._model.initial_inference(self._on_device(observation_S[None]))
        answers = [self._answer(output)]
        for action in action_K:
            output = self._model.recurrent_inference(output.hidden_state, self._on_device(np.array([action], np.int32)))
            answers.append(self._answer(output))
        return answers

    def _on_device(self, array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, device=self._device)

    def _keep(self, node: int, output: NetworkOutput) -> NetworkAnswer:
        """The answer, once the hidden states lie in the pool as those of the node."""
        self._pool_NB[node] = output.hidden_state
        return self._answer(output)

    def _answer(self, output: NetworkOutput) -> NetworkAnswer:
        parts = (self._model.reward(output), self._model.value(output), output.policy_logits_BA)
        return NetworkAnswer(*(part.float().cpu().numpy() for part in parts))
