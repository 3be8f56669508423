"""`mzpipe sweep`: what it refuses before anything starts, and what it prints."""

import pytest

from mzpipe.cli.main import main
from mzpipe.errors import ExitCode
from mzpipe.runs.directory import save_profile
from mzpipe.sweep import capacity
from mzpipe.sweep.spec import Choices, SweepConfig, SweepSpec
from tests.sweep.made import SPACE
from tests.tiny import planned, tiny_profile

GRID = '[grid]\n"seed" = [0, 1]\n'


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "tiny.toml"
    save_profile(tiny_profile(), path)
    return path


@pytest.fixture
def sweep(profile, tmp_path, monkeypatch, capsys):
    """The verb, whose runs are `fake` programs; returns its exit code and all its words."""
    monkeypatch.setattr("mzpipe.sweep.jobs.LocalRunner.__init__.__defaults__", (("tests.sweep.fake",),))

    def run(text, *words):
        (tmp_path / "swept.toml").write_text(text)
        directory = tmp_path / "sweep"
        code = main(["sweep", str(profile), str(tmp_path / "swept.toml"), "--run-dir", str(directory), *words])
        told = capsys.readouterr()
        return code, " ".join((told.out + told.err).split())

    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "plan.json").write_text("{}")
    return run


def test_sweep_prints_the_trials_the_best_and_its_settings_to_copy(sweep, tmp_path, capsys):
    (tmp_path / "sweep" / "plan.json").write_text('{"trial-0001": {"returns": [9.0]}, "trial-0002": {"code": 70}}')
    code, told = sweep(f"trials = 3\n{SPACE}")
    assert code == ExitCode.FINISHED
    assert "trial-0001: return 9.00 after 100 training steps" in told
    assert "best: trial-0001, as words of `mzpipe train`: --set learner.learning_rate=" in told
    assert "trial-0002 1.00 failed" in told and "(the run ended with exit code 70)" in told
    assert main(["sweep", "--show", str(tmp_path / "sweep")]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown and shown in told


def test_grid_of_seeds_and_games_ends_with_the_table_of_scores(profile, sweep, tmp_path, capsys):
    words = ["--seeds", "0..1", "--games", "CartPole-v1,Acrobot-v1", "--run-dir", str(tmp_path / "sweep")]
    assert main(["sweep", str(profile), *words]) == ExitCode.FINISHED
    told = " ".join(capsys.readouterr().out.split())
    assert 'game.name="Acrobot-v1"' in told and "Acrobot-v1 2 2 +- 0" in told and "CartPole-v1 2 2 +- 0" in told


@pytest.mark.parametrize(
    ("text", "words", "says"),
    [
        (SPACE, ["--seeds", "0..2"], "--seeds and --games make a grid: they do not go with a [space]"),
        (GRID, ["--seeds", "0..2"], "seed: the [grid] names it, and the command line too: name it once"),
        (GRID, ["--games", "Pnog"], "Pnog"),
        (GRID, ["--set", "topology.external=actor"], "topology.external=actor: trials start every role"),
        (GRID, ["--set", "learner.batch=8"], "learner.batch: unknown field"),
        ('[space]\n"learner.lerning_rate" = {low = 1e-4, high = 1e-2}', [], "did you mean learner.learning_rate?"),
        (
            '[space]\n"search.discount" = {low = 0.9, high = 1.5}',
            [],
            "swept.toml: search.discount=1.5: input should be",
        ),
        ('[grid]\n"topology.external" = ["none", "actor"]', [], 'topology.external="actor": trials start every role'),
        ('storage = "nonsense"\n' + GRID, [], "the trials' storage nonsense: "),
    ],
)
def test_refused_sweep_is_one_line_and_begins_no_trial(sweep, tmp_path, text, words, says):
    code, told = sweep(text, *words)
    assert code in (ExitCode.USAGE, ExitCode.INPUT_OUTPUT) and says in told
    assert told.startswith("mzpipe sweep: ") and not (tmp_path / "sweep" / "starts").exists()


@pytest.mark.parametrize("words", [["--seeds", "3..1"], ["--seeds", "x"], ["--games", "a,,b"], ["--jobs", "0"]])
def test_words_that_make_no_sense_are_refused(profile, words, capsys):
    with pytest.raises(SystemExit):
        main(["sweep", str(profile), *words])
    assert words[0] in capsys.readouterr().err


def test_directory_of_another_sweep_or_of_a_run_is_refused(sweep, tmp_path):
    assert sweep(GRID)[0] == ExitCode.FINISHED
    assert "all 2 trials have ended" in sweep(GRID)[1]
    assert "holds another sweep (its grid differs): give another --run-dir" in sweep('[grid]\n"seed" = [0, 2]\n')[1]
    assert "holds another sweep (learner.batch_size 4 -> 8)" in sweep(GRID, "--set", "learner.batch_size=8")[1]
    assert "(its objective differs)" in sweep('objective = "last"\n' + GRID)[1]
    assert "holds a run, not a sweep" in sweep(GRID, "--run-dir", str(tmp_path / "sweep" / "trial-0000"))[1]


def test_trials_can_be_added_to_a_sweep(sweep):
    sweep(f"trials = 1\n{SPACE}")
    assert "all 2 trials have ended" in sweep(f"trials = 2\n{SPACE}")[1]


def test_sweep_whose_storage_is_lost_is_refused(sweep, tmp_path):
    sweep(GRID)
    (tmp_path / "sweep" / "sweep.db").unlink()
    code, told = sweep(GRID)
    assert code == ExitCode.INPUT_OUTPUT and "trial-0000 is here, and the storage has only 0 trials" in told


def test_damaged_storage_is_one_line(sweep, tmp_path):
    sweep(GRID)
    (tmp_path / "sweep" / "sweep.db").write_bytes(b"no database" * 100)
    code, told = sweep(GRID)
    assert code == ExitCode.INPUT_OUTPUT and told.startswith("mzpipe sweep: the trials' storage ")


@pytest.mark.parametrize("text", [None, "[]", "{", '{"space": [{"kind": "Range", "name": 3}], "objective": "best"}'])
def test_show_of_no_sweep_is_one_line(tmp_path, text, capsys):
    if text is not None:
        (tmp_path / "sweep.json").write_text(text)
    assert main(["sweep", "--show", str(tmp_path)]) in (ExitCode.USAGE, ExitCode.INPUT_OUTPUT)
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and str(tmp_path) in told


def test_jobs_are_those_that_find_cores_and_memory(monkeypatch):
    plan = planned(tiny_profile())
    spec = SweepSpec(SweepConfig(), (Choices("learner.batch_size", ("4", "8")),), is_grid=False)
    load = lambda settings: tiny_profile(*settings)  # noqa: E731
    monkeypatch.setattr(capacity, "describe_model", lambda profile, game: pytest.fail("without need"))
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(capacity.cores_of_a_run(plan)))
    assert capacity.auto_jobs(spec, load) == 1
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: range(3 * capacity.cores_of_a_run(plan)))
    monkeypatch.setattr(capacity, "largest_plan", lambda spec, load: plan)
    monkeypatch.setattr(capacity, "available_memory_bytes", lambda: 10 * plan.memory_bytes())
    assert capacity.auto_jobs(spec, load) == 3
    monkeypatch.setattr(capacity, "available_memory_bytes", lambda: 2 * plan.memory_bytes())
    assert capacity.auto_jobs(spec, load) == 2
    with pytest.raises(capacity.PlanError, match="--jobs 3: memory, /dev/shm and GPUs hold 2 of these runs"):
        capacity.refuse_crowd(3, spec, load)


def test_largest_plan_takes_each_field_where_it_needs_most_memory():
    names = {"topology.trees_per_lane": ("3", "30"), "replay.capacity_bytes": ("90000000", "5000000")}
    spec = SweepSpec(SweepConfig(), tuple(Choices(*each) for each in names.items()), is_grid=False)
    plan = capacity.largest_plan(spec, lambda settings: tiny_profile(*settings))
    assert (plan.profile.topology.trees_per_lane, plan.profile.replay.capacity_bytes) == (30, 90000000)
