"""How a policy fares that learns from its own searches, when a move has few simulations and values are noisy.

A closed loop without a network. Each of many states keeps a policy over six actions, uniform at first. In every round
the state is searched with its policy as the prior of all nodes, and the policy then moves a tenth of the way to the
search's target. Every node is worth `base` plus normal noise, drawn anew at each evaluation; below one of the root's
actions, the state's right one, it is worth `advantage` more. With `opinion` the actions also differ by normal numbers,
drawn once: what an untrained network makes up. Rewards are 0.

    share right   of the states whose likeliest action is the right one
    entropy       of the policies, their mean; ln 6 = 1.79 is that of uniform policies

`python -m tests.search.few_simulations` prints the table of docs/search.md.

Shape legend    B states   A actions   K nodes
"""

import sys

import numpy as np

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch

NUM_STATES, NUM_ACTIONS, NUM_ROUNDS, STEP = 2000, 6, 60, 0.1
# About what a player of Pong sees who loses most rallies.
BASE, NOISE, DISCOUNT = -2.2, 0.1, 0.988
# A policy's least probability, so that its logarithm is finite.
_LEAST = 1e-12
RULES: dict[str, dict] = {
    "zero, tree": {},
    "zero, siblings": {"q_normalization": "siblings"},
    "mean, tree": {"unvisited_q": "mean", "min_q_spread": 0.01},
    "mean, siblings": {"unvisited_q": "mean", "min_q_spread": 0.01, "q_normalization": "siblings"},
    "Gumbel": {"policy": "gumbel"},
}


def search_once(search: BatchedSearch, policy_BA, base: float, gain_BA, noise: float, rng) -> np.ndarray:
    """The policy target of one search of every state; nodes below a root action are worth its gain more than `base`."""
    num_states, nodes = len(policy_BA), search.config.num_simulations + 1
    states_B, first_action_BK = np.arange(num_states), np.zeros((num_states, nodes), int)
    logits_BA = np.log(np.maximum(policy_BA, _LEAST)).astype(np.float32)
    reward_B = np.zeros(num_states, np.float32)
    search.begin(logits_BA, rng.normal(base, noise, num_states).astype(np.float32))
    for k in range(1, nodes):
        parent_index_B, action_B = search.select()
        first_action_BK[:, k] = np.where(parent_index_B == 0, action_B, first_action_BK[states_B, parent_index_B])
        value_B = rng.normal(base, noise, num_states) + gain_BA[states_B, first_action_BK[:, k]]
        search.backup(reward_B, value_B.astype(np.float32), logits_BA)
    return search.result().search_policy_BA


def learn(num_simulations: int, advantage=0.0, *, base=BASE, noise=NOISE, opinion=0.0, **fields) -> tuple[float, float]:
    """(share right, entropy) after all rounds, with a search of these settings."""
    rng = np.random.default_rng(0)
    config = SearchConfig(num_simulations=num_simulations, discount=DISCOUNT, **fields)
    search = BatchedSearch(config, batch_size=NUM_STATES, num_actions=NUM_ACTIONS)
    right_B = rng.integers(NUM_ACTIONS, size=NUM_STATES)
    gain_BA = rng.normal(0.0, opinion, (NUM_STATES, NUM_ACTIONS))
    gain_BA[np.arange(NUM_STATES), right_B] += advantage
    policy_BA = np.full((NUM_STATES, NUM_ACTIONS), 1.0 / NUM_ACTIONS)
    for _ in range(NUM_ROUNDS):
        target_BA = search_once(search, policy_BA, base, gain_BA, noise, rng)
        policy_BA += STEP * (target_BA - policy_BA)
    entropy_B = -(policy_BA * np.log(np.maximum(policy_BA, _LEAST))).sum(axis=1)
    return float((policy_BA.argmax(axis=1) == right_B).mean()), float(entropy_B.mean())


def table() -> str:
    """Share right / entropy of every rule, in Markdown."""
    lines = ["| simulations | advantage | " + " | ".join(RULES) + " |", "|---" * (2 + len(RULES)) + "|"]
    for num_simulations in (16, 50):
        for advantage in (0.0, 0.03, 0.1, 0.3):
            found = [learn(num_simulations, advantage, **fields) for fields in RULES.values()]
            cells = [f"{right:.2f} / {entropy:.2f}" if advantage else f"- / {entropy:.2f}" for right, entropy in found]
            lines.append(f"| {num_simulations} | {advantage:g} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table() + "\n")
