"""The game's own rules as the model of a search, where `search.model` is "rules" (AlphaZero, Silver et al. 2018).

Owns    a game for each row of a batch, which goes to the parent's position and plays the action; every node's position

A node after the game's end is over: its value is 0, its reward has come with the move that ended the game, and every
action leads to another such node. A limit on a game's moves ends no game here: its value does not end there.

Shape legend    R rows of a batch   N nodes of all trees   A actions   S... one stacked observation
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple, cast

import numpy as np

from ..config import GameConfig
from ..games import GameSpec, WalkableGame, make_game
from ..search.tree import ILLEGAL

# About what OpenSpiel keeps of a position after 150 moves: chess 9,400 bytes, go on 9x9 13,300, on 19x19 17,700.
_STATE_BYTES = 16_384


class Evaluation(NamedTuple):
    """Nodes as a search takes them: the network's values and policies, corrected by the rules."""

    reward_R: np.ndarray
    value_R: np.ndarray
    policy_logits_RA: np.ndarray


class RulesModel:
    """Positions of `num_nodes` nodes: `begin` sets roots, `step` plays actions, `evaluation` corrects the network."""

    def __init__(self, config: GameConfig, *, num_rows: int, num_nodes: int) -> None:
        self._games = cast(WalkableGame, make_game(config, num_rows, seed=0, training=False))
        spec = self._games.spec
        assert spec.has_positions, spec.name
        self._games.reset()
        self._frame_size = spec.frame_shape[0]
        self._position_N: list[Any] = [None] * num_nodes
        self._is_over_N = np.zeros(num_nodes, np.bool_)
        self._stack_NS = np.zeros((num_nodes, *spec.observation_shape), spec.frame_dtype)
        # Of the last step.
        self._hidden_RA = np.zeros((num_rows, spec.num_actions), np.bool_)
        self._is_over_R = np.zeros(num_rows, np.bool_)
        shapes = (num_rows, num_rows, (num_rows, spec.num_actions))
        self._evaluation = Evaluation(*(np.zeros(shape, np.float32) for shape in shapes))

    def begin(self, games: WalkableGame, observation_BS: np.ndarray, node_B: Sequence[int] | np.ndarray) -> None:
        """Makes these nodes the current positions of the games, with their stacked observations."""
        for game, node in enumerate(node_B):
            self._position_N[node] = games.position(game)
        self._is_over_N[node_B] = False
        self._stack_NS[node_B] = observation_BS

    def observation(self, node_B: np.ndarray) -> np.ndarray:
        """The stacked observations of these nodes, a copy."""
        return self._stack_NS[node_B]

    def step(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Plays an action from each source node, which makes the target nodes; returns their stacked observations."""
        was_over_R = self._is_over_N[source_R]
        plays_R = ~was_over_R
        self._games.put({row: self._position_N[source_R[row]] for row in map(int, np.flatnonzero(plays_R))})
        result = self._games.step(action_R, plays_R)
        self._is_over_R = was_over_R | result.terminated_B
        self._is_over_N[target_R] = self._is_over_R
        for row, node in enumerate(target_R):
            self._position_N[node] = None if self._is_over_R[row] else self._games.position(row)
        self._evaluation.reward_R[:] = result.reward_B
        self._hidden_RA = ~(self._games.legal_actions() | self._is_over_R[:, None])
        stack_RS = self._stack_NS[source_R]
        stack_RS[plays_R, : -self._frame_size] = stack_RS[plays_R, self._frame_size :]
        stack_RS[plays_R, -self._frame_size :] = result.frame_BF[plays_R]
        self._stack_NS[target_R] = stack_RS
        return stack_RS

    def evaluation(self, value_R: np.ndarray, policy_logits_RA: np.ndarray) -> Evaluation:
        """The nodes of the last step with the network's outputs for them, in arrays that the next call overwrites.

        Illegal edges have ILLEGAL logits; where the game is over, the value is 0 and all actions are equal.
        """
        evaluation = self._evaluation
        evaluation.value_R[:] = value_R
        evaluation.policy_logits_RA[:] = policy_logits_RA
        evaluation.value_R[self._is_over_R] = 0.0
        evaluation.policy_logits_RA[self._is_over_R] = 0.0
        evaluation.policy_logits_RA[self._hidden_RA] = ILLEGAL
        return evaluation


def rules_bytes(game: GameSpec, *, num_rows: int, num_simulations: int) -> int:
    """About what the positions of these searches take."""
    stack = prod(game.observation_shape) * np.dtype(game.frame_dtype).itemsize
    return num_rows * (num_simulations + 1) * (stack + game.num_actions + _STATE_BYTES)
