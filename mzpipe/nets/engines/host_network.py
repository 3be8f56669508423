"""Networks in a runtime for CPUs: the model is traced once, and every weights version is a pair of sessions.

While a session is made, the runtime folds, fuses and lays out the weights for this processor: 5 to 50 ms in
onnxruntime, 30 to 80 in OpenVINO.

Shape legend    R rows of a batch   A actions   S... a hidden state
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from . import Flight
from .host_pool import HostPool


class Sessions(Protocol):
    """One weights version, ready to run; see `nets.onnx_inference` for its two graphs."""

    def run_root(self, observation_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden states [R, S...] and answers [R, 1 + A], without rewards; the next call may overwrite both."""

    def run_child(self, num_rows: int) -> None:
        """Answers the first rows of the pool's staging arrays, and writes into its answer arrays."""


# Makes sessions with the weights of a flat array, as FlatWeights makes it.
SessionMaker = Callable[[np.ndarray], Sessions]


class HostFlight:
    """See `Flight`: a batch has landed when its start returns. Answers lie in the pool."""

    def __init__(self, pool: HostPool, observation_shape: tuple[int, ...], observation_dtype: str) -> None:
        max_batch = len(pool.answer_RC)
        self.source_R, self.target_R = np.zeros(max_batch, np.int64), np.zeros(max_batch, np.int64)
        self.action_R, self.answer_RC = np.zeros(max_batch, np.int32), pool.answer_RC
        self._observation_R = np.zeros((max_batch, *observation_shape), observation_dtype)

    def landed(self) -> bool:
        """True."""
        return True

    def device_seconds(self) -> float:
        """0."""
        return 0.0

    def together(self, observations: Sequence[np.ndarray]) -> np.ndarray:
        """The observations as one array."""
        if len(observations) == 1:
            return observations[0]
        return np.concatenate(observations, out=self._observation_R[: sum(map(len, observations))])


class HostNetwork:
    """One pair of sessions; see `Network`. Answers lie in the pool, so the next batch overwrites them."""

    def __init__(self, make_sessions: SessionMaker, pool: HostPool, flight: HostFlight) -> None:
        self._make_sessions, self._pool, self.flights = make_sessions, pool, (flight,)
        self._sessions: Sessions | None = None

    def prepare(self) -> None:
        """Does nothing: sessions are made as a whole."""

    def load(self, weights: np.ndarray) -> None:
        """Makes sessions with these weights."""
        self._sessions = self._make_sessions(weights)

    def start_roots(self, flight: Flight, observations: Sequence[np.ndarray]) -> None:
        """Initial inference."""
        batch = self.flights[0].together(observations)
        self.infer_roots(batch, flight.target_R[: len(batch)])

    def start_children(self, flight: Flight, num_rows: int) -> None:
        """Recurrent inference."""
        self.infer_children(flight.source_R[:num_rows], flight.target_R[:num_rows], flight.action_R[:num_rows])

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
