"""The kernels against their plain-Python twin: random models, models full of ties, and every option of the search."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch
from mzpipe.search import tree as tree_module
from mzpipe.search.noise import RootNoise
from tests.search.driver import (
    as_probabilities,
    coarse_model,
    masked_model,
    peaked_model,
    quiet_config,
    random_model,
    run,
    run_naive,
)

NUM_TREES = 2
models = st.sampled_from([random_model, coarse_model, peaked_model])
seeds = st.integers(0, 2**32 - 1)
discounts = st.sampled_from([0.997, 1.0, 0.5, -1.0, -0.9, 0.0])
puct_options = st.fixed_dictionaries(
    {
        "discount": discounts,
        "pb_c_init": st.sampled_from([0.0, 1.25, 4.0]),
        "q_normalization": st.sampled_from(["tree", "siblings", "bounds"]),
        "q_bounds": st.sampled_from([(-1.0, 1.0), (0.0, 10.0)]),
        "unvisited_q": st.sampled_from(["zero", "mean"]),
        "min_q_spread": st.sampled_from([1e-8, 0.01, 0.5, 3.0]),
    }
)
gumbel_options = st.fixed_dictionaries(
    {
        "discount": discounts,
        "policy": st.just("gumbel"),
        "max_num_considered_actions": st.sampled_from([1, 2, 3, 5, 16]),
        "gumbel_scale": st.sampled_from([0.0, 1.0]),
        "value_scale": st.sampled_from([0.0, 0.1, 1.0]),
        "maxvisit_init": st.sampled_from([0.0, 20.0, 50.0]),
        "rescale_values": st.booleans(),
        "min_q_spread": st.sampled_from([1e-8, 0.01, 0.5, 3.0]),
    }
)
shapes = st.tuples(st.integers(1, 24), st.integers(1, 6))
wide_shapes = st.tuples(st.integers(1, 12), st.integers(13, 40))
gumbel_or_puct = st.sampled_from(["puct", "gumbel"])
thorough = settings(max_examples=120)


def legal_actions(seed: int, num_actions: int) -> np.ndarray:
    """Each action legal in seven cases of ten, at least one per tree."""
    legal_BA = np.random.default_rng(seed).random((NUM_TREES, num_actions)) < 0.7
    legal_BA[:, seed % num_actions] = True
    return legal_BA


def noise_of(config: SearchConfig, num_actions: int, seed: int):
    """The noise that a search of this seed draws first, one row per tree; None where it draws none."""
    if config.policy == "puct" and not config.root_exploration_fraction:
        return [None] * NUM_TREES
    alpha = config.root_dirichlet_alpha if config.policy == "puct" else None
    noise = RootNoise(batch_size=NUM_TREES, num_actions=num_actions, seed=seed, alpha=alpha, scale=config.gumbel_scale)
    return noise.noise_BTA[:, noise.next()]


def assert_equal_to_twin(config, model, *, seed, probabilities=False, masked=False) -> None:
    """Every selected edge, the visits and the values of both trees are the twin's."""
    num_actions = model.policy_logits_KBA.shape[2]
    legal_BA, noise_BA = legal_actions(seed, num_actions), noise_of(config, num_actions, seed)
    if probabilities:  # a root without a legal action above 0 is refused
        assume((model.policy_logits_KBA[0] * legal_BA).max(axis=1).min() >= np.finfo(np.float32).tiny)
    search = BatchedSearch(
        config, batch_size=NUM_TREES, num_actions=num_actions, seed=seed, probabilities=probabilities, masked=masked
    )
    selected = run(search, model, legal_BA)
    result = search.result()
    for b in range(NUM_TREES):
        options = {"noise_A": noise_BA[b], "probabilities": probabilities}
        twin, expected = run_naive(config, model, b, legal_BA[b], **options)
        assert [(parents[b], actions[b]) for parents, actions in selected] == expected
        assert result.visits_BA[b].tolist() == twin.visits()
        assert result.q_BA[b].tolist() == twin.root_q()
        assert result.root_value_B[b] == twin.root.value
        assert result.search_policy_BA[b] == pytest.approx(twin.search_policy(), rel=2e-4, abs=1e-6)
        assert search.best_action()[b] == twin.best_action()


@thorough
@given(models, seeds, shapes, puct_options, st.sampled_from([0.0, 0.25]), st.booleans())
def test_puct_equals_its_twin_on_any_model(make_model, seed, shape, options, fraction, probabilities):
    config = SearchConfig(num_simulations=shape[0], root_exploration_fraction=fraction, **options)
    model = make_model(seed, shape[0] + 1, NUM_TREES, shape[1])
    model = as_probabilities(model) if probabilities else model
    assert_equal_to_twin(config, model, seed=seed, probabilities=probabilities)


@thorough
@given(models, seeds, shapes, gumbel_options, st.booleans())
def test_gumbel_equals_its_twin_on_any_model(make_model, seed, shape, options, probabilities):
    config = SearchConfig(num_simulations=shape[0], **options)
    model = make_model(seed, shape[0] + 1, NUM_TREES, shape[1])
    model = as_probabilities(model) if probabilities else model
    assert_equal_to_twin(config, model, seed=seed, probabilities=probabilities)


def assert_equal_when_masked(make_model, seed, shape, fields) -> None:
    """The roots' logits are whole: the mask of legal actions says what a root has."""
    config = SearchConfig(num_simulations=shape[0], **fields)
    model = make_model(seed, shape[0] + 1, NUM_TREES, shape[1])
    masked = masked_model(model, seed)
    masked.policy_logits_KBA[0] = model.policy_logits_KBA[0]
    assert_equal_to_twin(config, masked, seed=seed, masked=True)


@thorough
@given(models, seeds, shapes, st.one_of(puct_options, gumbel_options))
def test_search_equals_its_twin_where_nodes_lack_edges(make_model, seed, shape, fields):
    assert_equal_when_masked(make_model, seed, shape, fields)


def assert_equal_with_chance(config, model, num_codes, seed) -> None:
    num_actions = model.policy_logits_KBA.shape[2] - num_codes
    legal_BA, noise_BA = legal_actions(seed, num_actions), noise_of(config, num_actions + num_codes, seed)
    search = BatchedSearch(config, batch_size=NUM_TREES, num_actions=num_actions, num_codes=num_codes, seed=seed)
    selected = run(search, model, legal_BA)
    result = search.result()
    for b in range(NUM_TREES):
        options = {"noise_A": noise_BA[b], "num_codes": num_codes}
        twin, expected = run_naive(config, model, b, legal_BA[b], **options)
        assert [(parents[b], actions[b]) for parents, actions in selected] == expected
        assert result.visits_BA[b].tolist() == twin.visits()
        assert result.q_BA[b].tolist() == twin.root_q()
        assert result.root_value_B[b] == twin.root.value
        assert search.best_action()[b] == twin.best_action()
        assert result.search_policy_BA[b] == pytest.approx(twin.search_policy()[:num_actions], abs=1e-5)


@thorough
@given(
    models,
    seeds,
    st.tuples(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5)),
    st.one_of(puct_options, gumbel_options),
    st.sampled_from([0.0, 0.25]),
)
def test_trees_with_chance_equal_their_twins_on_any_model(make_model, seed, shape, options, fraction):
    num_simulations, num_actions, num_codes = shape
    config = SearchConfig(num_simulations=num_simulations, root_exploration_fraction=fraction, **options)
    model = make_model(seed, num_simulations + 1, NUM_TREES, num_actions + num_codes)
    assert_equal_with_chance(config, model, num_codes, seed)


@pytest.fixture(scope="module")
def short_rows():
    """Every search with more actions than simulations keeps short rows."""
    before, tree_module.FULL_ROWS_BYTES = tree_module.FULL_ROWS_BYTES, 0
    yield
    tree_module.FULL_ROWS_BYTES = before


@settings(max_examples=60)
@given(models, seeds, wide_shapes, st.one_of(puct_options, gumbel_options), st.booleans())
def test_search_equals_its_twin_when_rows_are_short(short_rows, make_model, seed, shape, options, probabilities):
    assert tree_module.has_short_rows(*shape)
    config = SearchConfig(num_simulations=shape[0], **options)
    model = make_model(seed, shape[0] + 1, NUM_TREES, shape[1])
    model = as_probabilities(model) if probabilities else model
    assert_equal_to_twin(config, model, seed=seed, probabilities=probabilities)


@settings(max_examples=60)
@given(models, seeds, wide_shapes, st.one_of(puct_options, gumbel_options))
def test_search_equals_its_twin_where_nodes_lack_edges_and_rows_are_short(short_rows, make_model, seed, shape, fields):
    assert_equal_when_masked(make_model, seed, shape, fields)


@settings(max_examples=40)
@given(models, seeds, st.tuples(st.integers(1, 12), st.integers(6, 20), st.integers(7, 20)), gumbel_or_puct)
def test_trees_with_chance_equal_their_twins_when_rows_are_short(short_rows, make_model, seed, shape, policy):
    num_simulations, num_actions, num_codes = shape
    config = quiet_config(num_simulations, policy=policy)
    model = make_model(seed, num_simulations + 1, NUM_TREES, num_actions + num_codes)
    assert_equal_with_chance(config, model, num_codes, seed)


@pytest.mark.parametrize("policy", ["puct", "gumbel"])
def test_search_repeats_bit_for_bit_when_used_again(policy):
    model = random_model(3, 17, 3, 4)
    search = BatchedSearch(quiet_config(16, policy=policy, gumbel_scale=0.0), batch_size=3, num_actions=4)
    run(search, model)
    first = search.result()
    run(search, random_model(4, 17, 3, 4))
    run(search, model)
    for before, after in zip(first, search.result(), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("policy", ["puct", "gumbel"])
def test_tree_searches_the_same_in_any_batch(policy):
    model = random_model(5, 17, 3, 4)
    config = SearchConfig(num_simulations=16, policy=policy)
    together, single = (BatchedSearch(config, batch_size=size, num_actions=4, seed=7) for size in (3, 1))
    run(together, model)
    run(single, type(model)(*(np.ascontiguousarray(outputs[:, :1]) for outputs in model)))
    for many, one in zip(together.result(), single.result(), strict=True):
        np.testing.assert_array_equal(many[0], one[0])
