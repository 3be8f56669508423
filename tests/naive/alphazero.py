"""AlphaZero's search in plain Python (Silver et al. 2018): the rules are the model, and no node follows the game's end.

Values and policies are those of a network without opinion: 0, and uniform over the legal actions. Q is scaled from
[-1, 1]. Numbers are float32 in the kernels' order, so visits must agree exactly.
"""

import math

import numpy as np

F = np.float32
FIXED_ONE = F(2**46)


class Position:
    """A node: the state, the reward of the move that led to it, and what the search has found below it."""

    def __init__(self, state, reward, legal_actions) -> None:
        self.state, self.reward = state, F(reward)
        self.legal = [] if state is None else [a for a, legal in enumerate(legal_actions(state)) if legal]
        self.visits, self.value, self.children = 0, F(0), {}

    @property
    def prior(self):
        return F(F(1) * F(FIXED_ONE / F(len(self.legal) * 2**46)))

    def add(self, path_return) -> None:
        self.visits += 1
        self.value = F(self.value + F(F(path_return - self.value) / F(self.visits)))


def search(state, step, legal_actions, config) -> Position:
    """The root after all simulations; `step` gives (reward, next state), whose None is the game's end."""
    root = Position(state, 0.0, legal_actions)
    root.add(F(0))
    for _ in range(config.num_simulations):
        path = [root]
        while path[-1].legal:
            node = path[-1]
            action = best_action(node, config)
            is_new = action not in node.children
            if is_new:
                reward, after = step(node.state, action)
                node.children[action] = Position(after, reward, legal_actions)
            path.append(node.children[action])
            if is_new:
                break
        path_return = F(0)
        for node in reversed(path):
            node.add(path_return)
            path_return = F(node.reward - path_return)
    return root


def best_action(node: Position, config) -> int:
    """The legal action of the highest score, the lowest among equals."""
    growth = config.pb_c_init + math.log((node.visits + config.pb_c_base + 1) / config.pb_c_base)
    exploration = F(math.sqrt(node.visits) * growth)

    def score(action):
        child = node.children.get(action)
        bonus = F(node.prior * exploration)
        if child is None:
            return bonus
        q = F(child.reward - child.value)
        return F(F(F(q + F(1)) * F(0.5)) + F(bonus / F(1 + child.visits)))

    return max(node.legal, key=lambda action: (score(action), -action))
