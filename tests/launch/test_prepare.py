"""A rehearsal is remembered under a key of everything that it depends on."""

import dataclasses
import importlib
from pathlib import Path

import pytest

from mzpipe.config import load_profile
from mzpipe.errors import DeviceError
from mzpipe.games import describe_game
from mzpipe.launch import dependencies as dependencies_module
from mzpipe.launch import prepare as module
from mzpipe.launch.plan import ModelSizes
from mzpipe.launch.prepare import prepare
from mzpipe.launch.rehearsal import Prepared, describe_model, read_prepared, tiny, write_prepared
from mzpipe.runs.directory import LiveRun, RunDirectory
from mzpipe.runtime import gpus as gpus_module
from mzpipe.runtime.environment import kernel_cache
from tests.launch.fakes import Screen
from tests.tiny import tiny_profile

PREPARED = Prepared(ModelSizes(4, 8, 12, 16, 20), 1, 2, 3, ("cpu",), ("cpu",))
SKIPPED = "rehearsed before on this machine: kernels are compiled"
PROFILES = sorted((Path(__file__).parents[2] / "profiles").glob("*.toml"))
CPU_INFO = "processor : 0\nmodel name : A\nflags : fpu avx2\ncpu MHz : {}\n\nprocessor : 1\nflags : fpu\n"


class Rehearsals:
    """Starts runs in one kernel cache; each rehearsal counts itself, compiles a kernel and ends as it is told."""

    def __init__(self, runtime, run):
        self.runtime, self.run, self.count = runtime, run, 0
        self.ending, self.result = True, PREPARED

    def program(self, name, words, runtime, signals, *, what):
        self.count += 1
        (kernel_cache() / f"kernel-{self.count}.nbc").touch()
        if isinstance(self.ending, Exception):
            raise self.ending
        if self.ending:
            write_prepared(runtime, self.result)
        return self.ending

    def start(self, *overrides, profile=None):
        """Starts a run; returns whether it rehearsed."""
        profile, before, screen = profile or tiny_profile(*overrides), self.count, Screen()
        (self.runtime / "prepared.json").unlink(missing_ok=True)
        prepared = prepare(profile, describe_game(profile.game), self.live, screen, None)
        assert prepared == (self.result if self.ending else None)
        assert not self.ending or read_prepared(self.runtime) == prepared
        assert (screen.lines == [SKIPPED]) == (self.count == before)
        return self.count > before

    @property
    def live(self):
        return LiveRun(1, "0", str(self.runtime))


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The files in which a machine shows its processor and its GPUs; this machine has no GPU."""
    root = tmp_path / "machine"
    (root / "proc").mkdir(parents=True)
    (root / "dev").mkdir()
    (root / "proc" / "cpuinfo").write_text(CPU_INFO.format(1))
    for each in (dependencies_module, gpus_module):
        monkeypatch.setattr(each, "_ROOT", root)
    return root


@pytest.fixture
def rehearsals(tmp_path, monkeypatch, machine):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kernel_cache().mkdir(parents=True)
    (tmp_path / "runtime").mkdir()
    starts = Rehearsals(tmp_path / "runtime", RunDirectory(tmp_path / "run"))
    monkeypatch.setattr(module, "run_program", starts.program)
    return starts


@pytest.fixture
def own_game(tmp_path, monkeypatch):
    """A module with a user's own game, imported as a start imports it."""
    path = tmp_path / "games" / "my_treasure.py"
    path.parent.mkdir()
    path.write_text((Path(__file__).parents[2] / "examples" / "treasure.py").read_text())
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setenv("MZPIPE_ALLOW_ENV_IMPORT", "1")
    return path


def remembered():
    """The file of the one remembered rehearsal."""
    (path,) = (kernel_cache() / "rehearsals").iterdir()
    return path


def test_prepare_rehearses_once_when_nothing_changes(rehearsals):
    assert [rehearsals.start() for _ in range(3)] == [True, False, False]


@pytest.mark.parametrize(
    "override",
    [
        "network.hidden_size=9",
        'search.policy="gumbel"',
        "game.frame_stack=2",
        'replay.sampler="uniform"',
        'inference.devices=["cpu", "cpu"]',
        "learner.num_unroll_steps=3",
        "evaluator.opponent_simulations=7",
    ],
)
def test_prepare_rehearses_again_when_a_field_changes_that_counts(rehearsals, override):
    assert rehearsals.start()
    assert rehearsals.start(override)
    assert not rehearsals.start(override)
    assert not rehearsals.start()


@pytest.mark.parametrize(
    "override", ["seed=5", "stop.learner_steps=11", "stop.minutes=2.0", "telemetry.interval_s=1.0", "topology.actors=2"]
)
def test_prepare_does_not_rehearse_again_when_a_field_changes_that_no_rehearsal_sees(rehearsals, override):
    assert rehearsals.start()
    assert not rehearsals.start(override)


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_tiny_profile_has_the_model_and_the_devices_of_the_profile(path):
    profile = load_profile(path)
    game = describe_game(profile.game)
    assert describe_model(tiny(profile), game) == describe_model(profile, game)


@pytest.mark.parametrize("change", ["version", "reinstalled"])
def test_prepare_rehearses_again_when_a_library_changes(rehearsals, tmp_path, monkeypatch, change):
    installed = tmp_path / "site" / "numba-98.0.dist-info"
    installed.mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert rehearsals.start()
    assert not rehearsals.start()
    if change == "version":
        installed.rename(installed.with_name("numba-99.0.dist-info"))
    else:
        (installed / "RECORD").touch()
    assert rehearsals.start()


def test_prepare_rehearses_again_when_the_processor_changes_and_not_its_clock(rehearsals, machine):
    cpu_info = machine / "proc" / "cpuinfo"
    assert rehearsals.start()
    cpu_info.write_text(CPU_INFO.format(2))
    assert not rehearsals.start()
    cpu_info.write_text(CPU_INFO.format(2).replace("avx2", "avx2 avx512f"))
    assert rehearsals.start()


@pytest.mark.parametrize("text", [None, "", "processor : 0\nmodel name : A\n"])
def test_prepare_remembers_nothing_when_it_cannot_see_the_processor(rehearsals, machine, text):
    (machine / "proc" / "cpuinfo").unlink()
    if text is not None:
        (machine / "proc" / "cpuinfo").write_text(text)
    assert [rehearsals.start() for _ in range(2)] == [True, True]


def test_prepare_remembers_nothing_when_a_package_is_being_replaced(rehearsals, tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "numba-98.0.dist-info").symlink_to("gone")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert [rehearsals.start() for _ in range(2)] == [True, True]


@pytest.mark.parametrize("name", ["dev/nvidia0", "dev/kfd", "proc/driver/nvidia/version"])
def test_prepare_rehearses_again_when_a_gpu_comes(rehearsals, machine, name):
    assert rehearsals.start()
    (machine / name).parent.mkdir(parents=True, exist_ok=True)
    (machine / name).touch()
    assert rehearsals.start()


def test_prepare_does_not_remember_that_auto_found_no_gpu_where_there_is_one(rehearsals, machine):
    (machine / "dev" / "nvidia0").touch()
    assert [rehearsals.start() for _ in range(2)] == [True, True]
    named = ('learner.devices=["cpu"]', 'inference.devices=["cpu"]')
    assert [rehearsals.start(*named) for _ in range(2)] == [True, False]
    rehearsals.result = dataclasses.replace(PREPARED, learner_devices=("cuda:0",), inference_devices=("cuda:0",))
    assert [rehearsals.start() for _ in range(2)] == [True, False]


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "NUMBA_CPU_NAME", "LD_PRELOAD", "PYTHONPATH"])
def test_prepare_rehearses_again_when_a_variable_changes_that_libraries_listen_to(rehearsals, monkeypatch, name):
    assert rehearsals.start()
    monkeypatch.setenv(name, "7")
    assert rehearsals.start()


def test_prepare_does_not_rehearse_again_when_another_variable_changes(rehearsals, monkeypatch):
    assert rehearsals.start()
    monkeypatch.setenv("WINDOWID", "7")
    assert not rehearsals.start()


def test_prepare_rehearses_again_when_the_file_of_an_own_game_changes(rehearsals, own_game):
    name = "game.name=my_treasure:Treasure"
    assert [rehearsals.start(name) for _ in range(2)] == [True, False]
    own_game.write_text(own_game.read_text() + "# Another rule.\n")
    assert rehearsals.start(name)


def test_prepare_remembers_nothing_when_an_own_game_is_a_package(rehearsals, own_game, monkeypatch):
    package = own_game.parent / "treasures"
    package.mkdir()
    own_game.rename(package / "__init__.py")
    importlib.invalidate_caches()
    assert [rehearsals.start("game.name=treasures:Treasure") for _ in range(2)] == [True, True]


def test_prepare_remembers_nothing_with_a_network_of_ones_own(rehearsals):
    own = ("network.kind=somewhere:Net", "network.hidden_size=64")
    assert all(rehearsals.start(*own) for _ in range(2))


@pytest.mark.parametrize("ending", [DeviceError("no such device"), False])
def test_prepare_never_remembers_a_rehearsal_that_fails_or_is_given_up(rehearsals, ending):
    rehearsals.ending = ending
    for _ in range(2):
        if ending:
            with pytest.raises(DeviceError, match="no such device"):
                rehearsals.start()
        else:
            assert rehearsals.start()
    assert rehearsals.count == 2
    assert not (kernel_cache() / "rehearsals").exists()


def _cut(path):
    path.write_text(path.read_text()[:-10])


def _one_digit_else(path):
    path.write_text(path.read_text().replace('"num_parameters":1', '"num_parameters":7'))


@pytest.mark.parametrize("damage", [_cut, _one_digit_else, lambda path: path.write_bytes(b"\xff\xfe\n{}")])
def test_prepare_rehearses_again_when_the_memory_is_damaged(rehearsals, damage):
    assert rehearsals.start()
    damage(remembered())
    assert [rehearsals.start() for _ in range(2)] == [True, False]


def test_prepare_rehearses_again_when_the_memory_is_of_another_rehearsal(rehearsals):
    assert rehearsals.start()
    path = remembered()
    assert rehearsals.start("network.hidden_size=9")
    (other,) = set(path.parent.iterdir()) - {path}
    path.write_bytes(other.read_bytes())
    assert rehearsals.start()


def test_prepare_rehearses_again_when_kernels_have_gone(rehearsals):
    assert rehearsals.start()
    (kernel_cache() / "kernel-1.nbc").unlink()
    assert rehearsals.start()


def test_prepare_continues_when_the_memory_cannot_be_written(rehearsals):
    (kernel_cache() / "rehearsals").write_text("a file is in the way")
    assert [rehearsals.start() for _ in range(2)] == [True, True]
