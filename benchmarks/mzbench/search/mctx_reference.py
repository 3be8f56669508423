"""mctx as a reference for the case `search`: its two policies, compiled for the CPU, on one thread.

It uses mctx's defaults, and one call does the work of begin, select, backup and result:
a seed and precomputed outputs go in, and the four arrays of a SearchResult come out.

Shape legend    K = num_simulations + 1 evaluations, the root's first   B trees   A actions
"""

import os
from collections.abc import Callable
from typing import Any

from mzpipe.config.search import SearchConfig

from .search_models import Outputs

MUZERO, GUMBEL = "mctx.muzero_policy", "mctx.gumbel_muzero_policy"
# 2**32 over the golden ratio: multiplying by it, modulo 2**32, spreads neighbours far apart.
_FIBONACCI = 2654435761
# Read by jax when it is first used.
_ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


def load() -> Any | None:
    """The module mctx, with jax held to one thread; None where mctx is not installed."""
    os.environ.update(_ONE_THREAD)
    try:
        import mctx
    except ImportError:
        return None
    return mctx


def searcher(mctx: Any, name: str, config: SearchConfig, outputs: Outputs) -> Callable[[], object]:
    """A function that runs one search with the policy `name`, with a new seed each time, and waits for its result."""
    import jax

    arrays = jax.device_put(tuple(outputs))
    search = jax.jit(_search(mctx, _policies(mctx)[name], config, outputs))
    seed = 0

    def call() -> object:
        nonlocal seed
        seed += 1
        return jax.block_until_ready(search(arrays, seed))

    return call


def _policies(mctx: Any) -> dict[str, Callable[..., Any]]:
    return {MUZERO: mctx.muzero_policy, GUMBEL: mctx.gumbel_muzero_policy}


def _search(mctx: Any, policy: Callable[..., Any], config: SearchConfig, outputs: Outputs) -> Callable[..., Any]:
    import jax
    import jax.numpy as jnp

    num_trees = outputs.value_KB.shape[1]
    recurrent_fn = _recurrent_fn(mctx, config, num_trees)

    def search(arrays: Any, seed: int) -> Any:
        _, value_KB, logits_KBA = arrays
        state_B = jnp.zeros(num_trees, jnp.uint32)
        root = mctx.RootFnOutput(prior_logits=logits_KBA[0], value=value_KB[0], embedding=state_B)
        answer = policy(arrays, jax.random.key(seed), root, recurrent_fn, config.num_simulations)
        summary = answer.search_tree.summary()
        return summary.visit_counts, summary.value, summary.qvalues, answer.action_weights

    return search


def _recurrent_fn(mctx: Any, config: SearchConfig, num_trees: int) -> Callable[..., Any]:
    """A model whose hidden state is a hash of the actions so far, which selects an evaluation.

    mzpipe's loop gives every node outputs that no other node of its tree has. States drawn from 1 .. S instead would
    repeat down the tree, and a loop of good rewards would draw mctx ever deeper, which would flatter mzpipe.
    """
    import jax.numpy as jnp

    trees_B, discount_B = jnp.arange(num_trees), jnp.full(num_trees, config.discount)

    def recurrent(arrays: Any, key: Any, action_B: Any, state_B: Any) -> Any:
        reward_KB, value_KB, logits_KBA = arrays
        next_B = (state_B + action_B.astype(jnp.uint32) + 1) * jnp.uint32(_FIBONACCI)
        k_B = ((next_B >> 16) % config.num_simulations).astype(jnp.int32) + 1
        output = mctx.RecurrentFnOutput(
            reward=reward_KB[k_B, trees_B],
            discount=discount_B,
            prior_logits=logits_KBA[k_B, trees_B],
            value=value_KB[k_B, trees_B],
        )
        return output, next_B

    return recurrent
