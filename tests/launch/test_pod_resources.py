"""What Ray reserves for a pod: by the plan, unless the profile says otherwise."""

import pytest

from mzpipe.errors import ConfigError
from mzpipe.games import describe_game
from mzpipe.launch.plan import ModelSizes, make_plan
from mzpipe.launch.pod_resources import pod_line, pod_plan, pod_resources
from mzpipe.launch.roles import Devices
from tests.tiny import tiny_profile


def planned(*overrides):
    profile = tiny_profile("cluster.pods=2", "cluster.actors=3", *overrides)
    return make_plan(profile, describe_game(profile.game), Devices.assumed(profile), ModelSizes(weights=10_000))


def test_pod_has_a_processor_for_each_process_and_the_memory_of_its_plan():
    plan = planned()
    found = pod_resources(plan)
    assert found == {"CPU": 4.0, "memory": float(pod_plan(plan).memory_bytes())}
    # Without the replay table and the learner, which stay on the head.
    assert 0 < found["memory"] < plan.memory_bytes()


def test_reanalyzers_and_servers_count():
    plan = planned("reanalyze.fraction=0.5", "cluster.reanalyzers=2", "cluster.devices=['cpu', 'cpu']")
    assert pod_resources(plan)["CPU"] == 3 + 2 + 2


def test_choices_of_the_profile_come_first():
    plan = planned("cluster.cpus=1.5", "cluster.gpus=0.5", "cluster.memory_bytes=1000")
    assert pod_resources(plan) == {"CPU": 1.5, "GPU": 0.5, "memory": 1000.0}


def test_devices_need_gpus():
    with pytest.raises(ConfigError, match=r"cluster.devices=\[0, 1\]: with --ray a pod sees cluster.gpus=1 GPUs: .* 2"):
        pod_resources(planned("cluster.devices=[0, 1]", "cluster.gpus=1.0"))


def test_line_says_what_goes_where():
    line = pod_line(planned("cluster.gpus=0.5"))
    assert line.startswith(
        "pods      2, each on one node: 1 inference server, 3 actors, 0 reanalyzers; 4 processors, 0.5 "
    )
    assert line.endswith("are /dev/shm")
