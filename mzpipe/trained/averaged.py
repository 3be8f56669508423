"""A root's network output, averaged over the symmetries of its game.

Shape legend    R rows of a batch   A actions   C = 2 + A columns, and more of some models
"""

from collections.abc import Callable, Sequence

import numpy as np

from ..errors import UsageError
from ..games import GameSpec, Symmetry
from .searches import Walked

# No probability is so low that its logarithm would be infinite.
_LEAST = np.float32(1e-37)


class AveragedRoots:
    """See `searches.Walked`: a root's value and probabilities are means over the position as it is and all turns of it.

    `evaluate` is infer_roots of the network alone, and may write its states where the root's own will lie.
    """

    def __init__(
        self,
        walked: Walked,
        evaluate: Callable[[np.ndarray, np.ndarray], np.ndarray],
        symmetries: Sequence[Symmetry],
    ) -> None:
        self._walked, self._evaluate, self._symmetries = walked, evaluate, symmetries
        self._columns = slice(2, 2 + len(symmetries[0].actions))
        self.infer_children = walked.infer_children

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """The averaged answers; the states are those of the observations as they are."""
        values, policies = [], []
        for symmetry in self._symmetries:
            turned_RC = self._evaluate(np.ascontiguousarray(symmetry.turned_frames(observation_R)), target_R)
            policy_RA = self._policy(turned_RC)
            policy_RA[:, list(symmetry.actions)] = policy_RA.copy()
            values.append(turned_RC[:, 1].copy())
            policies.append(policy_RA)
        answer_RC = self._walked.infer_roots(observation_R, target_R).copy()
        policy_RA = np.mean([self._policy(answer_RC), *policies], axis=0)
        answer_RC[:, 1] = np.mean([answer_RC[:, 1], *values], axis=0)
        answer_RC[:, self._columns] = np.log(np.maximum(policy_RA, _LEAST))
        return answer_RC

    def _policy(self, answer_RC: np.ndarray) -> np.ndarray:
        """Probabilities of the actions, in a new array."""
        logits_RA = answer_RC[:, self._columns]
        weights_RA = np.exp(logits_RA - logits_RA.max(axis=1, keepdims=True))
        policy_RA: np.ndarray = weights_RA / weights_RA.sum(axis=1, keepdims=True)
        return policy_RA


def symmetries_of(game: GameSpec) -> Sequence[Symmetry]:
    """Those of the game; raises UsageError if it declares none."""
    if not game.symmetries:
        raise UsageError(f"symmetries: {game.name} declares none: leave it out")
    return game.symmetries
