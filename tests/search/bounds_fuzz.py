"""Random searches and their twin, for a process whose kernels check every index: python -m tests.search.bounds_fuzz.

Run with NUMBA_BOUNDSCHECK=1 and a cache of compiled kernels of its own: Numba does not tell cached kernels apart by
this flag. An index out of bounds is then an IndexError, and not a byte of another array.
"""

import sys

import numba
import numpy as np

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch
from mzpipe.search import tree as tree_module
from tests.search.driver import Model, as_probabilities, coarse_model, peaked_model, random_model, run, run_naive

NUM_TREES = 2
ABOVE_ONE = np.float32(1.0 + 2.0**-13)


def strained(model: Model, rng: np.random.Generator) -> Model:
    """Probabilities at the edge of what the search lets through: all above 1, or hardly any above 0."""
    policy_KBA = model.policy_logits_KBA.copy()
    kind_KB = rng.random(policy_KBA.shape[:2])
    policy_KBA[kind_KB < 0.2] = ABOVE_ONE
    above = (kind_KB >= 0.2) & (kind_KB < 0.4)
    policy_KBA[above] = rng.uniform(1.0, ABOVE_ONE, (int(above.sum()), policy_KBA.shape[2]))
    sparse_KB = kind_KB > 0.9
    policy_KBA[sparse_KB[..., None] & (rng.random(policy_KBA.shape) < 0.8)] = 0.0
    policy_KBA[sparse_KB, -1] = 0.25
    return model._replace(policy_logits_KBA=np.minimum(policy_KBA, ABOVE_ONE))


def random_config(rng: np.random.Generator, num_simulations: int) -> SearchConfig:
    fields: dict = {"discount": float(rng.choice([0.997, 1.0, -1.0, 0.0]))}
    if rng.random() < 0.5:
        fields |= {"policy": "gumbel", "max_num_considered_actions": int(rng.integers(1, 50))}
        fields |= {"value_scale": float(rng.choice([0.1, 1.0])), "rescale_values": bool(rng.random() < 0.5)}
    else:
        fields |= {"q_normalization": str(rng.choice(["tree", "siblings", "bounds"]))}
        fields |= {"unvisited_q": str(rng.choice(["zero", "mean"]))}
    return SearchConfig(num_simulations=num_simulations, root_exploration_fraction=0.0, gumbel_scale=0.0, **fields)


def search_beside_twin(rng: np.random.Generator) -> None:
    """One batch of one random search; AssertionError where a tree differs from its twin's."""
    num_simulations, num_actions = int(rng.integers(1, 33)), int(rng.choice([1, 2, 7, 8, 9, 17, 41, 64]))
    tree_module.FULL_ROWS_BYTES = 0 if rng.random() < 0.6 else 1 << 20
    config = random_config(rng, num_simulations)
    make_model = (random_model, coarse_model, peaked_model)[rng.integers(3)]
    model = make_model(int(rng.integers(2**32)), num_simulations + 1, NUM_TREES, num_actions)
    probabilities = bool(rng.random() < 0.6)
    model = strained(as_probabilities(model), rng) if probabilities else model
    legal_BA = rng.random((NUM_TREES, num_actions)) < rng.choice([0.1, 0.7, 1.0])
    legal_BA[np.arange(NUM_TREES), model.policy_logits_KBA[0].argmax(axis=1)] = True
    options = {"batch_size": NUM_TREES, "num_actions": num_actions, "probabilities": probabilities}
    search = BatchedSearch(config, **options)
    selected = run(search, model, legal_BA)
    search.result()
    best_action_B = search.best_action()
    for b in range(NUM_TREES):
        twin, expected = run_naive(config, model, b, legal_BA[b], probabilities=probabilities)
        assert [(parents[b], actions[b]) for parents, actions in selected] == expected
        assert best_action_B[b] == twin.best_action()


if __name__ == "__main__":
    assert numba.config.BOUNDSCHECK, "set NUMBA_BOUNDSCHECK=1"
    rng = np.random.default_rng(0)
    for _ in range(int(sys.argv[1])):
        search_beside_twin(rng)
