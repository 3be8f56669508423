"""Engines: what runs the model in an inference server: torch, onnxruntime, OpenVINO.

The networks of a server share its pool of hidden states, one row per node of every tree of every lane, and its
flights, each the place of one batch on its way through the device:

    fill the flight's rows  ->  network.start_children(flight, R)  ->  flight.landed()  ->  flight.answer_RC[:R]

Shape legend    R rows of a batch   C columns: 2 + places of a policy
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np


class Arithmetic(NamedTuple):
    """The runtime and precision of a server."""

    runtime: str
    bfloat16: bool


class Flight(Protocol):
    """The place of one batch at a time. An answer is reward, value and policy logits side by side.

    Where actions are vectors, the node's candidates follow.
    """

    # Rows of the pool (int64) and actions (int32), for the largest batch; a batch takes the first ones.
    source_R: np.ndarray
    target_R: np.ndarray
    action_R: np.ndarray
    # Answers, whole once the batch has landed, and until the next one starts.
    answer_RC: np.ndarray

    def landed(self) -> bool:
        """Whether the batch's answers are there; never waits."""

    def device_seconds(self) -> float:
        """How long a GPU took for the batch that has landed; 0 on a CPU."""


class Network(Protocol):
    """The model with one set of weights."""

    @property
    def flights(self) -> Sequence[Flight]:
        """Batches that may be on their way at once; all networks of a server have the same ones."""

    def prepare(self) -> None:
        """Does now what the first batch of each size would otherwise wait for."""

    def load(self, weights: np.ndarray) -> None:
        """Takes the weights of a flat float32 array, as FlatWeights makes it; batches on their way keep the former."""

    def start_roots(self, flight: Flight, observations: Sequence[np.ndarray]) -> None:
        """Starts a batch of these observations [., ...], one after the other; their states go to rows target_R.

        Rewards are 0. The observations must not change until the batch has landed.
        """

    def start_children(self, flight: Flight, num_rows: int) -> None:
        """Starts a batch of actions from the nodes in rows source_R; the children go to rows target_R."""

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """Answers [R, C] for observations [R, ...], once they are there."""

    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Answers [R, C] for actions from the nodes in rows source_R, once they are there."""
