"""Networks in a runtime for CPUs: the model is traced once, and every weights version is a pair of sessions.

While a session is made, the runtime folds, fuses and lays out the weights for this processor: 5 to 50 ms in
onnxruntime, 30 to 80 in OpenVINO.

Shape legend    R rows of a batch   A actions   S... a hidden state
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from .host_pool import HostPool


class Sessions(Protocol):
    """One weights version, ready to run; see `nets.onnx_inference` for its two graphs."""

    def run_root(self, observation_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden states [R, S...] and answers [R, 1 + A], without rewards; the next call may overwrite both."""

    def run_child(self, num_rows: int) -> None:
        """Answers the first rows of the pool's staging arrays, and writes into its answer arrays."""


# Makes sessions with the weights of a flat array, as FlatWeights makes it.
SessionMaker = Callable[[np.ndarray], Sessions]


class HostNetwork:
    """One pair of sessions; see `Network`. Answers lie in the pool, so the next batch overwrites them."""

    def __init__(self, make_sessions: SessionMaker, pool: HostPool) -> None:
        self._make_sessions, self._pool = make_sessions, pool
        self._sessions: Sessions | None = None

    def load(self, weights: np.ndarray) -> None:
        """Makes sessions with these weights."""
        self._sessions = self._make_sessions(weights)

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """Initial inference."""
        assert self._sessions is not None
        states_R, root_answer_R = self._sessions.run_root(observation_R)
        self._pool.keep(target_R, states_R)
        answer_RC = self._pool.answer_RC[: len(target_R)]
        answer_RC[:, 0], answer_RC[:, 1:] = 0.0, root_answer_R
        return answer_RC

    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Recurrent inference."""
        assert self._sessions is not None
        self._pool.gather(source_R, action_R)
        self._sessions.run_child(len(source_R))
        self._pool.keep(target_R)
        return self._pool.answer_RC[: len(source_R)]
