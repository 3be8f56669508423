"""Grows trees with mctx on a random model and prints them in the form of its golden trees; a process of its own, since
jax warns and starts threads.

    python -m tests.search.mctx_trees CASE

K rows of random network outputs; the outputs of a node are row (31 * row of its parent + action + 1) mod K.
"""

import functools
import json
import sys

import jax
import jax.numpy as jnp
import mctx
import numpy as np
from mctx._src import policies

NUM_ROWS = 509
INVALID = (1, 4)
# algorithm, simulations, actions, discount, whether the INVALID actions are invalid in the second tree, arguments
CASES = {
    "gumbel rescaled": ("gumbel_muzero", 40, 6, 0.997, True, {"max_num_considered_actions": 3}),
    "gumbel board": ("gumbel_muzero", 64, 9, -1.0, False, {"qtransform_kwargs": {"value_scale": 1.0}}),
    "gumbel few simulations": ("gumbel_muzero", 4, 5, 0.997, True, {}),
    "muzero siblings": ("muzero", 50, 8, 0.997, True, {}),
    "muzero two players": ("muzero", 50, 8, -1.0, True, {}),
    "stochastic": ("stochastic_muzero", 60, 6, 0.997, True, {}),
    "stochastic two players": ("stochastic_muzero", 60, 6, -1.0, True, {}),
}
# Codes of chance; the logits of a code stand after those of the actions.
NUM_CODES = 4
_QTRANSFORMS = {
    "gumbel_muzero": "qtransform_completed_by_mix_value",
    "muzero": "qtransform_by_parent_and_siblings",
    "stochastic_muzero": "qtransform_by_parent_and_siblings",
}


def grow(algorithm: str, num_simulations: int, num_actions: int, discount: float, mask: bool, arguments: dict) -> list:
    """The trees of a batch of two, in the form of a golden tree."""
    arguments = dict(arguments)
    kwargs = arguments.pop("qtransform_kwargs", {})
    quiet = {"gumbel_scale": 0.0} if algorithm == "gumbel_muzero" else {"dirichlet_fraction": 0.0}
    rng = np.random.default_rng(0)
    num_codes = NUM_CODES if algorithm == "stochastic_muzero" else 0
    logits_KE = jnp.array(rng.normal(size=(NUM_ROWS, num_actions + num_codes)), jnp.float32)
    logits_KA, logits_KC = logits_KE[:, :num_actions], logits_KE[:, num_actions:]
    value_K, reward_K = (jnp.array(rng.normal(size=NUM_ROWS), jnp.float32) for _ in range(2))

    def recurrent(params, key, action_B, row_B):
        next_B = (31 * row_B + action_B + 1) % NUM_ROWS
        step = mctx.RecurrentFnOutput(
            reward=reward_K[next_B],
            discount=jnp.full(action_B.shape, discount),
            prior_logits=logits_KA[next_B],
            value=value_K[next_B],
        )
        return step, next_B

    def decide(params, key, action_B, row_B):
        next_B = (31 * row_B + action_B + 1) % NUM_ROWS
        return mctx.DecisionRecurrentFnOutput(chance_logits=logits_KC[next_B], afterstate_value=value_K[next_B]), next_B

    def happen(params, key, code_B, row_B):
        next_B = (31 * row_B + num_actions + code_B + 1) % NUM_ROWS
        step = mctx.ChanceRecurrentFnOutput(
            action_logits=logits_KA[next_B],
            value=value_K[next_B],
            reward=reward_K[next_B],
            discount=jnp.full(code_B.shape, discount),
        )
        return step, next_B

    row_B = jnp.array([0, 100])
    invalid_BA = np.zeros((2, num_actions))
    invalid_BA[1, list(INVALID)] = mask
    policy = getattr(mctx, f"{algorithm}_policy")
    qtransform = functools.partial(getattr(mctx, _QTRANSFORMS[algorithm]), **kwargs)
    root = mctx.RootFnOutput(prior_logits=logits_KA[row_B], value=value_K[row_B], embedding=row_B)
    functions = (decide, happen) if num_codes else (recurrent,)
    run = functools.partial(
        policy, (), jax.random.PRNGKey(0), root, *functions, num_simulations, invalid_BA, qtransform=qtransform
    )
    _keep_codes()
    tree = jax.device_get(jax.jit(lambda: run(**quiet, **arguments).search_tree)())
    config = quiet | arguments | {"qtransform": _QTRANSFORMS[algorithm], "qtransform_kwargs": kwargs}
    return [
        {
            "algorithm": algorithm,
            "algorithm_config": config,
            "env_config": {"discount": discount},
            "num_codes": num_codes,
            "legal_actions": [not invalid for invalid in invalid_BA[b]],
            "tree": _nested(tree, jnp.concatenate([logits_KA[row_B[b]], jnp.full(num_codes, -jnp.inf)]), b),
        }
        for b in range(2)
    ]


def _keep_codes() -> None:
    """Lets mctx's stochastic policy return its tree with the edges of chance, which it cuts off at the end."""
    cut = policies._mask_tree

    def uncut(tree, num_actions, mode):
        is_batch = tree.children_index.ndim == 3
        return tree if is_batch else cut(tree, num_actions, mode)

    policies._mask_tree = uncut


def _nested(tree, root_logits_A, b: int) -> dict:
    """Node 0 of tree b, with all below it."""
    nodes = [_node(tree, b, index) for index in range(tree.node_visits.shape[1])]
    for index, node in enumerate(nodes):
        logits_A = root_logits_A if index == 0 else tree.children_prior_logits[b, index]
        prior_A = np.asarray(jax.nn.softmax(logits_A), np.float64)
        for action, child in enumerate(tree.children_index[b, index]):
            below = nodes[child] if child >= 0 else {"child_stats": []}
            below |= {"prior": float(prior_A[action]), "action": action}
            if child >= 0:
                below["reward"] = float(tree.children_rewards[b, index, action])
            node["child_stats"].append(below)
    return nodes[0]


def _node(tree, b: int, index: int) -> dict:
    return {
        "visit": int(tree.node_visits[b, index]),
        "value_view": float(tree.node_values[b, index]),
        "raw_value_view": float(tree.raw_values[b, index]),
        "child_stats": [],
        "evaluation_index": index,
    }


if __name__ == "__main__":
    json.dump(grow(*CASES[sys.argv[1]]), sys.stdout)
