"""Engines: what runs the model in an inference server: torch, onnxruntime, OpenVINO.

The networks of a server share its pool of hidden states, one row per node of every tree of every lane.

Shape legend    R rows of a batch   A actions
"""

from typing import Protocol

import numpy as np


class Network(Protocol):
    """The model with one set of weights. An answer is reward, value and policy logits side by side."""

    def load(self, weights: np.ndarray) -> None:
        """Takes the weights of a flat float32 array, as FlatWeights makes it."""

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """Answers [R, 2 + A] for observations [R, ...], with rewards of 0; hidden states go to rows target_R."""

    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Answers [R, 2 + A] for actions (int32) from the nodes in rows source_R; children go to rows target_R."""
