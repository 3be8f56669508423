"""What a sweep's file may say."""

import pytest

from mzpipe.config import load_profile
from mzpipe.errors import ConfigError, UsageError
from mzpipe.sweep.spec import Choices, Range, grid_spec, read_spec


@pytest.fixture
def read(tmp_path):
    def read_text(text):
        path = tmp_path / "swept.toml"
        path.write_text(text)
        return read_spec(path)

    return read_text


def space(field):
    return f"[space]\n{field}\n"


def test_space_has_ranges_and_choices_with_quoted_or_dotted_names(read):
    spec = read(
        space('"learner.learning_rate" = {low = 1e-4, high = 1, log = true}\nlearner.batch_size = {low = 8, high = 32}')
        + 'search.policy = {choices = ["puct", "gumbel"]}\n'
    )
    assert spec.parameters == (
        Range("learner.learning_rate", 1e-4, 1.0, log=True),
        Range("learner.batch_size", 8, 32),
        Choices("search.policy", ('"puct"', '"gumbel"')),
    )
    assert isinstance(spec.parameters[0].high, float) and isinstance(spec.parameters[1].low, int)


def test_grid_has_every_combination_and_its_last_field_changes_first(read):
    spec = read('[grid]\nseed = [0, 1]\n"game.name" = ["Pong", "Breakout"]\n')
    assert [spec.cell(number) for number in range(spec.num_trials)] == [
        {"seed": seed, "game.name": game} for seed in ("0", "1") for game in ('"Pong"', '"Breakout"')
    ]


def test_fields_of_the_command_line_join_those_of_a_grid(read):
    assert grid_spec({"seed": [3, 4]}, read('[grid]\n"learner.batch_size" = [8]\n')).cell(1) == {
        "learner.batch_size": "8",
        "seed": "4",
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("trials = 3", "a sweep has either a [space] to search or a [grid] of runs: write one of them"),
        ("trails = 3\n" + space("seed = {choices = [1]}"), "trails: unknown field; did you mean trials?"),
        ("trials = 0\n" + space("seed = {choices = [1]}"), "trials=0: input should be greater than or equal to 1"),
        ('sampler = "best"\n' + space("seed = {choices = [1]}"), "sampler='best': input should be 'tpe' or 'random'"),
        ("trials = 3\n[grid]\nseed = [1]", "trials: a [grid] trains every cell once: leave it out"),
        ("space = 3", "space=3: this is a table of fields"),
        ("[space]", '[space]: it names no field of a profile, such as "learner.learning_rate"'),
        (space("seed = 3"), "[space] seed=3: write {low = 1e-4"),
        (space("seed = {low = 3}"), "[space] seed={'low': 3}: write {low = 1e-4"),
        (space("seed = {low = 3, hihg = 4}"), "[space] seed={'low': 3, 'hihg': 4}: write {low = 1e-4"),
        (space("seed = {low = 3, high = 3}"), "[space] seed: low=3 is not below high=3: the range is empty"),
        (space("seed = {low = 3, high = 1}"), "[space] seed: low=3 is not below high=1: the range is reversed"),
        (
            space("seed = {low = 0, high = 3, log = true}"),
            "[space] seed: log=true needs low above 0 (it is 0) and no step",
        ),
        (space("seed = {low = 0, high = 3, log = 1}"), "[space] seed: log=1 is not true or false"),
        (space("seed = {low = 0, high = 3, step = 2}"), "[space] seed: step=2 does not lead from low=0 to high=3"),
        (space("seed = {low = 0, high = 3, step = 0}"), "[space] seed: step=0 does not lead from low=0 to high=3"),
        (
            space("seed = {low = 0.5, high = 3}"),
            "[space] seed: 0.5 is not a whole number, and the field takes only these",
        ),
        (space('seed = {low = "0", high = 3}'), "[space] seed: low='0' is not a number"),
        (space("seed = {low = true, high = 3}"), "[space] seed: low=True is not a number"),
        (space("seed = {low = 0, high = inf}"), "[space] seed: high=inf is not a number"),
        (space('"search.policy" = {low = 0, high = 3}'), "[space] search.policy: it is no number ("),
        (space("seed = {choices = []}"), "seed=[]: give a list of at least one value"),
        (space("seed = {choices = [1, 2, 1]}"), "seed: 1 stands there twice: give each value once"),
        (space("seed = {choices = [2020-01-01]}"), "a profile cannot hold all of these"),
        (space("seed = "), "not valid TOML"),
    ],
)
def test_mistake_in_a_sweep_is_one_line_that_names_the_file(read, text, says, tmp_path):
    with pytest.raises(ConfigError) as raised:
        read(text)
    line = str(raised.value)
    assert says in line and line.startswith(str(tmp_path / "swept.toml")) and "\n" not in line


def test_grid_of_too_many_runs_is_refused():
    with pytest.raises(ConfigError, match="20,000 runs, at most 10,000"):
        grid_spec({"seed": list(range(10_000)), "game.name": ["Pong", "Breakout"]})


def test_command_line_adds_no_grid_to_a_space_and_names_no_field_twice(read):
    with pytest.raises(UsageError, match="they do not go with a \\[space\\]"):
        grid_spec({"seed": [0]}, read(space("seed = {choices = [1]}")))
    with pytest.raises(UsageError, match="seed: the \\[grid\\] names it, and the command line too"):
        grid_spec({"seed": [0]}, read("[grid]\nseed = [1]"))


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ('"learner.lerning_rate" = {low = 1e-4, high = 1e-2}', "unknown field; did you mean learner.learning_rate?"),
        ('"learner" = {low = 1e-4, high = 1e-2}', "this is a section"),
        ('"search.discount" = {low = 0.9, high = 1.5}', "search.discount=1.5: input should be less than or equal to 1"),
        ('"learner.batch_size" = {low = 0, high = 8}', "learner.batch_size=0: input should be greater than"),
        (
            '"learner.batch_size" = {choices = [8, "many"]}',
            "learner.batch_size='many': input should be a valid integer",
        ),
    ],
)
def test_every_bound_and_choice_is_checked_by_the_rules_of_profiles(read, field, says):
    with pytest.raises(ConfigError) as raised:
        read(space(field)).check(lambda settings: load_profile("cartpole", settings))
    assert says in str(raised.value)
