"""Bounds of the settings: a search can always compute with what a configuration lets through."""

import numpy as np
import pytest
from pydantic import ValidationError

from mzpipe.config.search import SearchConfig
from mzpipe.search import BatchedSearch

LARGEST = {"gumbel_scale": 1e6, "value_scale": 1e6, "maxvisit_init": 1e6, "pb_c_init": 1e6, "pb_c_base": 1e12}


@pytest.mark.parametrize(("field", "bound"), LARGEST.items())
def test_config_refuses_a_number_above_its_bound(field, bound):
    assert getattr(SearchConfig(**{field: bound}), field) == bound
    with pytest.raises(ValidationError, match=rf"{field}\n.*less than or equal to {bound:.0f} .*input_value=1e\+39"):
        SearchConfig(**{field: 1e39})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pb_c_base": 1e-9}, r"pb_c_base\n.*greater than or equal to 0.000001 .*input_value=1e-09"),
        ({"root_dirichlet_alpha": 1e-9}, r"root_dirichlet_alpha\n.*greater than or equal to 0.000001"),
        ({"root_dirichlet_alpha": 1e9}, r"root_dirichlet_alpha\n.*less than or equal to 1000000"),
        ({"q_bounds": (0.0, 1e39)}, r"q_bounds.1\n.*less than or equal to 1000000000 .*input_value=1e\+39"),
        ({"q_bounds": (-1e39, 0.0)}, r"q_bounds.0\n.*greater than or equal to -1000000000 .*input_value=-1e\+39"),
        (
            {"q_bounds": (1.0, 1.0)},
            r"q_bounds\n.*the first must be less than the second by 1e-06 .*input_value=\(1.0, 1.0\)",
        ),
        (
            {"q_bounds": (0.0, 1e-9)},
            r"q_bounds\n.*the first must be less than the second by 1e-06 .*input_value=\(0.0, 1e-09\)",
        ),
        ({"min_q_spread": 0.0}, r"min_q_spread\n.*greater than or equal to 0.00000001 .*input_value=0.0"),
        ({"min_q_spread": 1e7}, r"min_q_spread\n.*less than or equal to 1000000 .*input_value=10000000.0"),
        ({"unvisited_q": "worst"}, r"unvisited_q\n.*'zero' or 'mean' .*input_value='worst'"),
        ({"discount": 1.5}, r"discount\n.*less than or equal to 1 .*input_value=1.5"),
    ],
)
def test_config_refuses_a_number_out_of_bounds(fields, message):
    with pytest.raises(ValidationError, match=message):
        SearchConfig(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        LARGEST,
        {**LARGEST, "q_normalization": "bounds", "q_bounds": (1e9 - 1e-3, 1e9)},
        {**LARGEST, "unvisited_q": "mean", "min_q_spread": 1e6},
    ],
)
@pytest.mark.parametrize("policy", ["puct", "gumbel"])
def test_search_answers_with_actions_when_every_setting_is_at_its_bound(policy, fields):
    config = SearchConfig(num_simulations=4, policy=policy, root_dirichlet_alpha=1e6, **fields)
    search = BatchedSearch(config, batch_size=60, num_actions=2)
    zero_B, logits_BA = np.zeros(60, np.float32), np.zeros((60, 2), np.float32)
    search.begin(logits_BA, zero_B)
    for k in range(4):
        assert set(search.select()[1]) <= {0, 1}
        search.backup(zero_B, zero_B + np.float32(k % 2), logits_BA)
    assert (search.result().visits_BA.sum(axis=1) == 4).all()
    assert np.isfinite(search.result().search_policy_BA).all()
