"""Coordinate ascent over a made-up machine."""

from types import SimpleNamespace

import pytest

from mzpipe.errors import ConfigError, DeviceError, UsageError
from mzpipe.measure.tune import as_override, knobs, tune
from mzpipe.runtime import gpus
from tests.tiny import tiny_profile

TREES, LANES = "topology.trees_per_lane", "topology.lanes_per_actor"


class Machine:
    """Rates by setting; every trial takes ten seconds."""

    def __init__(self, rate, most_trees=10**9, *, of_topology=True):
        self.of_topology = of_topology
        self.rate, self.most_trees, self.now_s, self.seen = rate, most_trees, 0.0, []

    def load(self, setting):
        if setting.get(TREES, 3) > self.most_trees:
            raise ConfigError(f"{TREES}={setting[TREES]}: too many")
        return tiny_profile(*map(as_override, setting, setting.values()))

    def measure(self, profile):
        self.now_s += 10.0
        rate = self.rate(profile.topology) if self.of_topology else self.rate(profile)
        if rate is None:
            return None
        steps = rate * profile.replay.samples_per_insert / profile.learner.batch_size
        verdict = SimpleNamespace(stage="env step")
        return SimpleNamespace(env_steps_per_s=rate, learner_steps_per_s=steps, verdict=verdict)

    def tune(self, seconds=1e9):
        return tune(self.load, self.measure, seconds=seconds, show=self.seen.append, now_s=lambda: self.now_s)


def test_tune_climbs_as_long_as_it_helps_and_keeps_what_it_has_while_it_turns_another_knob():
    machine = Machine(lambda topology: min(topology.trees_per_lane, 24) * min(topology.lanes_per_actor, 3))
    tuning = machine.tune()
    assert tuning.best.setting == {TREES: 24, LANES: 3}
    assert tuning.gain == pytest.approx(24 * 3 / (3 * 2) - 1.0)
    assert machine.seen == tuning.trials


def test_tune_goes_down_where_less_is_faster():
    assert Machine(lambda topology: 100.0 / topology.lanes_per_actor).tune().best.setting == {LANES: 1}


def test_tune_keeps_the_profile_where_nothing_is_faster_by_more_than_the_noise():
    rates = iter([100.0, 110.0] + [112.0] * 100)
    tuning = Machine(lambda topology: next(rates)).tune()
    assert tuning.noise == pytest.approx(0.1)
    assert tuning.best.setting == {}
    assert tuning.gain == 0.0


def test_tune_tries_no_setting_twice_except_the_first():
    settings = [tuple(sorted(trial.setting.items())) for trial in Machine(lambda topology: 1.0).tune().trials]
    assert settings[:2] == [(), ()]
    assert len(set(settings[1:])) == len(settings) - 1


def test_tune_steps_over_a_setting_that_cannot_run_and_says_so():
    machine = Machine(lambda topology: float(topology.trees_per_lane), most_trees=8)
    tuning = machine.tune()
    assert tuning.best.setting == {TREES: 6}
    (failed,) = [trial for trial in tuning.trials if trial.rate is None and trial.setting == {TREES: 12}]
    assert failed.note == f"{TREES}=12: too many"


def test_tune_ends_when_the_time_is_up():
    machine = Machine(lambda topology: float(topology.trees_per_lane))
    tuning = machine.tune(seconds=45.0)
    assert len(tuning.trials) == 5
    assert tuning.best.setting == {TREES: 24}


def test_tune_ends_with_what_it_has_when_it_is_interrupted():
    rates = iter([10.0, 10.0, 20.0, None])
    tuning = Machine(lambda topology: next(rates)).tune()
    assert tuning.best.setting == {TREES: 6}
    assert len(tuning.trials) == 3


def test_tune_refuses_when_the_profile_as_it_is_could_not_be_measured():
    with pytest.raises(UsageError, match="stopped before the unchanged profile was measured"):
        Machine(lambda topology: None).tune()


@pytest.mark.parametrize("rate", [0.0])
def test_tune_refuses_a_profile_that_does_nothing(rate):
    with pytest.raises(UsageError, match="played 0 env steps/s and learnt 0 steps/s: measure longer"):
        Machine(lambda topology: rate).tune()


def test_tune_raises_when_the_profile_itself_fails_and_notes_a_step_that_fails():
    machine = Machine(lambda topology: 1.0, most_trees=2)
    machine.load = lambda setting: (_ for _ in ()).throw(DeviceError("no such device")) if setting else tiny_profile()
    assert {trial.note for trial in machine.tune().trials if trial.setting} == {"no such device"}
    machine.measure = lambda profile: (_ for _ in ()).throw(DeviceError("no such device"))
    with pytest.raises(DeviceError):
        machine.tune()


def test_rate_is_that_of_the_slower_side():
    machine = Machine(lambda topology: 100.0)
    slow = machine.measure

    def measure(profile):
        report = slow(profile)
        report.learner_steps_per_s /= 2
        return report

    machine.measure = measure
    assert machine.tune(seconds=15.0).best.rate == pytest.approx(50.0)


def test_knobs_of_reanalyzers_are_turned_only_where_they_run():
    assert not [name for name in knobs(tiny_profile()) if "reanalyze" in name]
    assert knobs(tiny_profile("reanalyze.fraction=0.5"))["topology.reanalyzers"] == 1


def test_one_more_server_comes_with_an_actor_that_asks_it():
    def rate(profile):
        servers = len(profile.inference.devices) if profile.inference.devices != ("auto",) else 1
        return 10.0 * min(profile.topology.actors, servers, 2)

    tuning = Machine(rate, of_topology=False).tune()
    assert tuning.best.setting == {"inference.devices": 2, "topology.actors": 2}
    assert as_override("inference.devices", 2) == 'inference.devices=["cpu", "cpu"]'


def test_servers_are_a_knob_only_where_they_are_on_the_cpu(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "_ROOT", tmp_path)
    assert knobs(tiny_profile())["inference.devices"] == 1
    assert knobs(tiny_profile('inference.devices=["cpu", "cpu"]'))["inference.devices"] == 2
    has_a_gpu(tmp_path)
    assert "inference.devices" not in knobs(tiny_profile())
    assert "inference.devices" not in knobs(tiny_profile("inference.devices=[0]"))


def has_a_gpu(machine):
    (machine / "dev").mkdir()
    (machine / "dev" / "nvidia3").touch()


def test_tune_turns_servers_of_each_gpu_and_no_threads_where_there_is_a_gpu(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "_ROOT", tmp_path)
    has_a_gpu(tmp_path)
    found = knobs(tiny_profile())
    assert found["inference.devices of each GPU"] == 1
    assert not [name for name in found if "num_threads" in name]
    assert as_override("inference.devices of each GPU", 2) == 'inference.devices=["auto", "auto"]'
    assert knobs(tiny_profile('inference.devices=["auto", "auto"]'))["inference.devices of each GPU"] == 2
    mixed = knobs(tiny_profile('learner.devices=["cpu"]'))
    assert "learner.num_threads" in mixed and "inference.num_threads" not in mixed


def test_tune_finds_that_two_servers_on_a_gpu_are_faster(monkeypatch, tmp_path):
    monkeypatch.setattr(gpus, "_ROOT", tmp_path)
    has_a_gpu(tmp_path)
    machine = Machine(lambda profile: 10.0 * min(len(profile.inference.devices), 2), of_topology=False)
    assert machine.tune().best.setting == {"inference.devices of each GPU": 2, "topology.actors": 2}


def test_a_batch_time_out_is_doubled_from_none_and_halved_to_none():
    def rate(profile):
        return 100.0 if profile.inference.batch_timeout_us in best else 50.0

    best = (100, 200)
    assert Machine(rate, of_topology=False).tune().best.setting == {}  # one step from 0 to 50 does not help
    best = range(50, 101)
    assert Machine(rate, of_topology=False).tune().best.setting == {"inference.batch_timeout_us": 50}
