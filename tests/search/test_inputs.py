"""Everything the search refuses, by the text of the error, and that a refusal changes nothing."""

import numpy as np
import pytest

from mzpipe.errors import SearchInputError
from mzpipe.search import BatchedSearch
from tests.search.driver import quiet_config, random_model, run

B, A = 3, 4


def outputs(**changes) -> dict[str, np.ndarray]:
    arrays = {
        "reward_B": np.zeros(B, np.float32),
        "value_B": np.zeros(B, np.float32),
        "policy_logits_BA": np.zeros((B, A), np.float32),
    }
    return arrays | changes


def root_outputs(**changes) -> dict[str, np.ndarray]:
    arrays = outputs(**changes)
    del arrays["reward_B"]
    return arrays


def spoiled(name: str, number: float, tree: int) -> dict[str, np.ndarray]:
    array = outputs()[name]
    array[tree:] = number
    return {name: array}


@pytest.fixture
def search() -> BatchedSearch:
    return BatchedSearch(quiet_config(2), batch_size=B, num_actions=A)


@pytest.fixture
def selected(search) -> BatchedSearch:
    search.begin(**root_outputs())
    search.select()
    return search


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size=0 must be at least 1"),
        ({"num_actions": 0}, "num_actions=0 must be at least 1"),
        ({"seed": -1}, "seed=-1 must be at least 0"),
    ],
)
def test_search_refuses_counts_out_of_range(arguments, message):
    with pytest.raises(SearchInputError, match=message):
        BatchedSearch(quiet_config(2), **{"batch_size": B, "num_actions": A, "seed": 0} | arguments)


BAD_ARRAYS = [
    ("value_B", np.zeros(2, np.float32), r"value_B is float32 of shape \(2,\): it must be float32 of shape \(3,\)"),
    ("value_B", np.zeros(B), r"value_B is float64 of shape \(3,\): it must be float32 of shape \(3,\)"),
    ("value_B", [0.0] * B, "value_B must be a numpy array, not list"),
    ("policy_logits_BA", np.zeros((A, B), np.float32), r"policy_logits_BA is float32 of shape \(4, 3\): it must be"),
]


@pytest.mark.parametrize(("name", "array", "message"), BAD_ARRAYS)
def test_begin_refuses_an_array_of_the_wrong_shape_or_kind(search, name, array, message):
    with pytest.raises(SearchInputError, match=message):
        search.begin(**root_outputs(**{name: array}))


@pytest.mark.parametrize(("name", "array", "message"), BAD_ARRAYS)
def test_backup_refuses_an_array_of_the_wrong_shape_or_kind(selected, name, array, message):
    with pytest.raises(SearchInputError, match=message):
        selected.backup(**outputs(**{name: array}))


def test_backup_refuses_rewards_of_the_wrong_shape(selected):
    with pytest.raises(SearchInputError, match=r"reward_B is float32 of shape \(3, 1\)"):
        selected.backup(**outputs(reward_B=np.zeros((B, 1), np.float32)))


def test_begin_refuses_legal_actions_of_the_wrong_kind(search):
    with pytest.raises(SearchInputError, match=r"legal_actions_BA is int64 of shape \(3, 4\): it must be bool"):
        search.begin(**root_outputs(), legal_actions_BA=np.ones((B, A), np.int64))


def test_begin_refuses_the_first_tree_without_a_legal_action(search):
    legal_BA = np.ones((B, A), np.bool_)
    legal_BA[1:] = False
    with pytest.raises(SearchInputError, match=r"legal_actions_BA\[1\] has no legal action"):
        search.begin(**root_outputs(), legal_actions_BA=legal_BA)


def test_begin_names_the_first_bad_tree_when_several_faults_meet(search):
    legal_BA = np.ones((B, A), np.bool_)
    legal_BA[2] = False
    with pytest.raises(SearchInputError, match=r"value_B\[1\] is NaN"):
        search.begin(**root_outputs(**spoiled("value_B", np.nan, 1)), legal_actions_BA=legal_BA)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("value_B", r"value_B\[1\] is NaN or infinite: network outputs must be finite"),
        ("policy_logits_BA", r"policy_logits_BA\[1\] holds NaN or infinity: network outputs must be finite"),
    ],
)
def test_begin_refuses_outputs_that_are_not_finite(search, name, message, number):
    with pytest.raises(SearchInputError, match=message):
        search.begin(**root_outputs(**spoiled(name, number, 1)))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("reward_B", r"reward_B\[2\] is NaN or infinite: network outputs must be finite"),
        ("value_B", r"value_B\[2\] is NaN or infinite: network outputs must be finite"),
        ("policy_logits_BA", r"policy_logits_BA\[2\] holds NaN or infinity: network outputs must be finite"),
    ],
)
def test_backup_refuses_outputs_that_are_not_finite(selected, name, message, number):
    with pytest.raises(SearchInputError, match=message):
        selected.backup(**outputs(**spoiled(name, number, 2)))


def test_backup_changes_nothing_when_it_refuses():
    model = random_model(0, 9, B, A)
    search, undisturbed = (BatchedSearch(quiet_config(8), batch_size=B, num_actions=A) for _ in range(2))
    run(undisturbed, model)
    search.begin(model.policy_logits_KBA[0], model.value_KB[0])
    for k in range(1, 9):
        search.select()
        with pytest.raises(SearchInputError, match=r"value_B\[2\] is NaN"):
            search.backup(**outputs(**spoiled("value_B", np.nan, 2)))
        search.backup(model.reward_KB[k], model.value_KB[k], model.policy_logits_KBA[k])
    for refused, smooth in zip(search.result(), undisturbed.result(), strict=True):
        np.testing.assert_array_equal(refused, smooth)


def test_search_takes_arrays_that_are_not_contiguous(search):
    model = random_model(0, 3, B, A)
    run(search, model)
    expected = search.result()
    run(search, type(model)(*(np.asfortranarray(outputs) for outputs in model)))
    np.testing.assert_array_equal(search.result().visits_BA, expected.visits_BA)


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("action_B", np.zeros(B, np.int64), r"action_B is int64 of shape \(3,\): it must be int32 of shape \(3,\)"),
        ("parent_index_B", np.zeros(2 * B, np.int32)[::2], "parent_index_B must be contiguous and writeable"),
        ("parent_index_B", np.broadcast_to(np.int32(0), (B,)), "parent_index_B must be contiguous and writeable"),
    ],
)
def test_search_refuses_to_answer_in_an_array_it_cannot_write(name, array, message):
    with pytest.raises(SearchInputError, match=message):
        BatchedSearch(quiet_config(2), batch_size=B, num_actions=A, **{name: array})


def test_backup_takes_arrays_that_cannot_be_written(selected):
    arrays = outputs()
    for array in arrays.values():
        array.flags.writeable = False
    selected.backup(**arrays)
    assert selected.result().visits_BA.sum(axis=1).tolist() == [1] * B


PROBABILITIES = np.full((B, A), 0.25, np.float32)


@pytest.fixture
def search_of_probabilities() -> BatchedSearch:
    return BatchedSearch(quiet_config(2), batch_size=B, num_actions=A, probabilities=True)


@pytest.mark.parametrize("number", [np.nan, np.inf, -0.1, 1.01])
def test_begin_refuses_probabilities_outside_of_0_to_1(search_of_probabilities, number):
    policy_BA = PROBABILITIES.copy()
    policy_BA[1, 2] = number
    with pytest.raises(SearchInputError, match=r"policy_BA\[1\] holds numbers outside of \[0, 1\]: this search takes"):
        search_of_probabilities.begin(policy_BA, np.zeros(B, np.float32))


def test_backup_refuses_logits_when_the_search_takes_probabilities(search_of_probabilities):
    search_of_probabilities.begin(PROBABILITIES, np.zeros(B, np.float32))
    search_of_probabilities.select()
    with pytest.raises(SearchInputError, match=r"policy_BA\[0\] holds numbers outside of \[0, 1\]"):
        search_of_probabilities.backup(**outputs(policy_logits_BA=np.full((B, A), -3.0, np.float32)))


def test_begin_refuses_probabilities_that_leave_the_legal_actions_none(search_of_probabilities):
    policy_BA, legal_BA = PROBABILITIES.copy(), np.ones((B, A), np.bool_)
    policy_BA[2] = [1.0, 0.0, 0.0, 0.0]
    legal_BA[2, 0] = False
    with pytest.raises(SearchInputError, match=r"policy_BA\[2\] gives no legal action a probability above 0"):
        search_of_probabilities.begin(policy_BA, np.zeros(B, np.float32), legal_BA)


@pytest.mark.parametrize("nothing", [0.0, 1e-39], ids=["zero", "denormal"])
def test_backup_refuses_the_first_tree_whose_probabilities_are_all_zero(search_of_probabilities, nothing):
    search_of_probabilities.begin(PROBABILITIES, np.zeros(B, np.float32))
    search_of_probabilities.select()
    policy_BA = PROBABILITIES.copy()
    policy_BA[1:] = nothing
    with pytest.raises(SearchInputError, match=r"policy_BA\[1\] gives no action a probability above 0"):
        search_of_probabilities.backup(**outputs(policy_logits_BA=policy_BA))


def test_backup_takes_probabilities_of_which_the_last_alone_is_above_zero(search_of_probabilities):
    search_of_probabilities.begin(PROBABILITIES, np.zeros(B, np.float32))
    search_of_probabilities.select()
    search_of_probabilities.backup(**outputs(policy_logits_BA=np.tile(np.float32([0, 0, 0, 1]), (B, 1))))


def test_search_refuses_to_answer_twice_in_one_array():
    shared = np.zeros(B + 1, np.int32)
    with pytest.raises(SearchInputError, match="parent_index_B and action_B share memory: each needs an array of its"):
        BatchedSearch(quiet_config(2), batch_size=B, num_actions=A, parent_index_B=shared[1:], action_B=shared[:-1])


def test_search_refuses_more_actions_than_its_trees_can_name():
    with pytest.raises(SearchInputError, match="num_actions=65535 must be at most 65534"):
        BatchedSearch(quiet_config(1), batch_size=1, num_actions=65_535)


def test_select_refuses_to_come_before_begin(search):
    with pytest.raises(SearchInputError, match=r"select\(\) before begin\(\)"):
        search.select()


def test_select_refuses_to_come_twice(selected):
    with pytest.raises(SearchInputError, match=r"select\(\) twice in a row: call backup\(\)"):
        selected.select()


def test_select_refuses_more_simulations_than_configured(selected):
    selected.backup(**outputs())
    selected.select()
    selected.backup(**outputs())
    with pytest.raises(SearchInputError, match=r"select\(\) after all 2 simulations: call begin\(\)"):
        selected.select()


def test_backup_refuses_to_come_without_select(search):
    search.begin(**root_outputs())
    with pytest.raises(SearchInputError, match=r"backup\(\) has nothing to back up: call select\(\) first"):
        search.backup(**outputs())


def test_result_refuses_to_come_in_the_middle_of_a_simulation(selected):
    with pytest.raises(SearchInputError, match=r"result\(\) in the middle of a simulation"):
        selected.result()


def test_result_refuses_to_come_before_the_first_simulation(search):
    with pytest.raises(SearchInputError, match=r"result\(\) needs at least one finished simulation"):
        search.result()
