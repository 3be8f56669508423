"""Random models and the loop that steps a BatchedSearch, or its twin, through one of them.

B trees   K = num_simulations + 1 evaluations, the root's first   A actions
"""

from typing import NamedTuple

import numpy as np

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch
from mzpipe.search.reading import open_tree
from mzpipe.search.tree import ILLEGAL, Tree
from tests.naive.search import NaiveSearch


class Model(NamedTuple):
    """Network outputs by node: those of node k of every tree, whatever edge led there."""

    reward_KB: np.ndarray
    value_KB: np.ndarray
    policy_logits_KBA: np.ndarray


def quiet_config(num_simulations: int, **fields) -> SearchConfig:
    """A configuration without root noise."""
    return SearchConfig(num_simulations=num_simulations, root_exploration_fraction=0.0, **fields)


def random_model(seed: int, num_evaluations: int, batch_size: int, num_actions: int) -> Model:
    """Normal outputs: no two scores are equal except by accident."""
    rng = np.random.default_rng(seed)
    shape = (num_evaluations, batch_size)
    return Model(
        rng.normal(size=shape).astype(np.float32),
        rng.normal(size=shape).astype(np.float32),
        rng.normal(size=(*shape, num_actions)).astype(np.float32),
    )


def coarse_model(seed: int, num_evaluations: int, batch_size: int, num_actions: int) -> Model:
    """Outputs from {-1, 0, 1} and uniform logits: ties everywhere."""
    rng = np.random.default_rng(seed)
    shape = (num_evaluations, batch_size)
    return Model(
        rng.integers(-1, 2, size=shape).astype(np.float32),
        rng.integers(-1, 2, size=shape).astype(np.float32),
        np.zeros((*shape, num_actions), np.float32),
    )


def peaked_model(seed: int, num_evaluations: int, batch_size: int, num_actions: int) -> Model:
    """Policies sure of one action: the trees are deep, and priors underflow."""
    model = random_model(seed, num_evaluations, batch_size, num_actions)
    return model._replace(policy_logits_KBA=model.policy_logits_KBA * np.float32(40.0))


def masked_model(model: Model, seed: int) -> Model:
    """The model with ILLEGAL logits in some three of ten places of every node, roots included, but never in all."""
    rng = np.random.default_rng(seed)
    legal_KBA = rng.random(model.policy_logits_KBA.shape) < 0.7
    legal_KBA[:, :, rng.integers(legal_KBA.shape[2])] = True
    return model._replace(policy_logits_KBA=np.where(legal_KBA, model.policy_logits_KBA, ILLEGAL))


def as_probabilities(model: Model) -> Model:
    """The model with the softmax of its policies in their place."""
    weights_KBA = np.exp(model.policy_logits_KBA - model.policy_logits_KBA.max(axis=2, keepdims=True))
    return model._replace(policy_logits_KBA=weights_KBA / weights_KBA.sum(axis=2, keepdims=True))


def tree(search: BatchedSearch, b: int = 0) -> Tree:
    """The arrays of one tree."""
    return open_tree(search._arena, b)


def run(search: BatchedSearch, model: Model, legal_actions_BA=None) -> list[tuple[list, list]]:
    """Searches one move; returns what each select answered."""
    search.begin(model.policy_logits_KBA[0], model.value_KB[0], legal_actions_BA)
    selected = []
    for k in range(1, search.config.num_simulations + 1):
        parent_index_B, action_B = search.select()
        selected.append((parent_index_B.tolist(), action_B.tolist()))
        search.backup(model.reward_KB[k], model.value_KB[k], model.policy_logits_KBA[k])
    return selected


def run_naive(config: SearchConfig, model: Model, b: int, legal_A=None, **options):
    """The same for tree `b` of the model, in plain Python: the twin and what it selected."""
    twin = NaiveSearch(config, model.policy_logits_KBA[0, b], model.value_KB[0, b], legal_A, **options)
    selected = []
    for k in range(1, config.num_simulations + 1):
        selected.append(twin.select())
        twin.backup(model.reward_KB[k, b], model.value_KB[k, b], model.policy_logits_KBA[k, b])
    return twin, selected
