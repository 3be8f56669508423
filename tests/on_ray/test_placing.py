"""Pods placed on Ray: several nodes on this machine, and a stand-in for the pod."""

import json
import os
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest

from mzpipe.cluster.identity import ADDRESS_FILE
from mzpipe.cluster.keys import new_head_keys, read_placed, run_keys
from mzpipe.errors import UsageError
from mzpipe.launch.bundles import Task, bundles_in, resources_text
from mzpipe.launch.placing import LOG, Placing
from tests.on_ray.cluster import RayCluster
from tests.processes import alive
from tests.waiting import wait_until

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra `cluster`")


@pytest.fixture(scope="module")
def cluster():
    cluster = RayCluster([0, 4, 4])
    yield cluster
    cluster.close()


@pytest.fixture
def placed(cluster, tmp_path, monkeypatch):
    """Places stand-ins; returns the lines that were said."""
    for name, value in cluster.settings.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "told").mkdir()
    run_keys(tmp_path, 2)
    (tmp_path / ADDRESS_FILE).write_text("127.0.0.1:7123")
    made = []

    def place(end, **changes):
        lines = []
        task = Task(
            address=cluster.address,
            pods=2,
            resources={"CPU": 3.0},
            listen="127.0.0.1:0",
        )
        task = Task(**{**vars(task), **changes})
        made.append(Placing(task, tmp_path, lines.append))
        made[-1].await_placed(lambda: False)
        program = ("tests.cluster.stand_in_pod", str(tmp_path / "told"), end)
        made[-1].start(tmp_path, tmp_path, new_head_keys().public, tmp_path, program)
        return made[-1], lines

    yield place
    for each in made:
        each.close()


def told(tmp_path):
    return [json.loads(path.read_text()) for path in (tmp_path / "told").glob("*.json")]


def look_until(placing, condition, what, timeout_s=60.0):
    def looked():
        placing.look()
        return condition()

    wait_until(looked, timeout_s, what)


@needs_ray
@pytest.mark.slow
def test_pods_are_started_each_with_a_key_of_its_node_and_stopped_in_order(placed, tmp_path):
    placing, lines = placed("play")
    look_until(placing, lambda: len(told(tmp_path)) == 2, "two pods")
    pods = told(tmp_path)
    assert {pod["pod"]: pod["public"] for pod in pods} == read_placed(tmp_path)
    assert {pod["address"] for pod in pods} == {"127.0.0.1:7123"}
    look_until(placing, lambda: sum("is started on" in line for line in lines) == 2, "lines about both")
    secrets = [json.loads(Path(pod["key"]).read_text())["secret"] for pod in pods]
    ray_logs = Path(os.environ["RAY_TMPDIR"]).rglob("*.*")
    texts = [path.read_bytes() for path in ray_logs if path.is_file() and path.stat().st_size < 1 << 24]
    assert len(texts) > 10 and not any(secret.encode() in text for secret in secrets for text in texts)


@needs_ray
@pytest.mark.slow
def test_killed_pod_is_placed_again_with_another_key(placed, tmp_path):
    placing, lines = placed("play", pods=1)
    look_until(placing, lambda: told(tmp_path), "the pod")
    (first,) = told(tmp_path)
    os.kill(first["pid"], signal.SIGKILL)
    look_until(placing, lambda: len(told(tmp_path)) == 2, "the pod's second life")
    second = next(pod for pod in told(tmp_path) if pod != first)
    assert second["public"] != first["public"]
    assert read_placed(tmp_path) == {0: second["public"]}
    assert any("it was killed by SIGKILL: a pod, 0: it is placed again" in line for line in lines)


@needs_ray
@pytest.mark.slow
def test_refused_pod_is_not_started_again(placed, tmp_path):
    placing, lines = placed("2", pods=1)
    look_until(placing, lambda: any("is refused" in line for line in lines), "the refusal")
    assert "is refused: a pod, 0: the run goes on without it" in lines[-1]
    assert len(told(tmp_path)) == 1


@needs_ray
@pytest.mark.slow
def test_pods_end_when_the_program_that_placed_them_is_killed(placed, tmp_path):
    placing, lines = placed("play")
    look_until(placing, lambda: len(told(tmp_path)) == 2, "two pods")
    os.kill(placing._child.pid, signal.SIGKILL)
    wait_until(lambda: not any(alive(pod["pid"]) for pod in told(tmp_path)), 20.0, "the pods end")
    look_until(placing, lambda: lines and "was killed by SIGKILL" in lines[-1], "a line")


@needs_ray
@pytest.mark.slow
def test_cluster_that_is_too_small_is_refused_in_one_line(placed):
    with pytest.raises(
        UsageError,
        match=r"--ray: the cluster holds 2 of 3 x 3 cpus: .* 4 cpus; .* 4 cpus; .* 0 cpus: add nodes, or lower",
    ) as caught:
        placed("play", pods=3)
    assert "\n" not in str(caught.value)


@needs_ray
@pytest.mark.slow
def test_address_without_a_cluster_is_refused_in_one_line(placed):
    with pytest.raises(UsageError, match=r"--ray 127\.0\.0\.1:1: no Ray cluster answers there"):
        placed("play", address="127.0.0.1:1")


@needs_ray
@pytest.mark.slow
def test_pod_moves_to_another_node_when_its_node_dies(placed, tmp_path, cluster):
    cluster.tell("add 8")
    placing, lines = placed("play", pods=1, resources={"CPU": 7.0})
    look_until(placing, lambda: told(tmp_path), "the pod")
    cluster.tell("add 8")
    cluster.tell("kill 3")
    look_until(placing, lambda: len(told(tmp_path)) == 2, "the pod on another node", 120.0)
    assert any("it is placed again" in line for line in lines)
    first, second = sorted(told(tmp_path), key=lambda pod: alive(pod["pid"]))
    assert alive(second["pid"]) and not alive(first["pid"])


@pytest.mark.parametrize(
    ("has", "wants", "count"),
    [
        ({"CPU": 8.0}, {"CPU": 3.0}, 2),
        ({"CPU": 8.0, "GPU": 1.0}, {"CPU": 3.0, "GPU": 0.5}, 2),
        ({"CPU": 8.0}, {"CPU": 3.0, "GPU": 1.0}, 0),
        ({"CPU": 0.3}, {"CPU": 0.1}, 3),
        ({"CPU": 8.0}, {"CPU": 3.0, "GPU": 0.0}, 2),
    ],
)
def test_bundles_of_a_node(has, wants, count):
    assert bundles_in(has, wants) == count


def test_resources_in_words():
    assert resources_text({"CPU": 9.0, "GPU": 0.5, "memory": 1.5 * (1 << 30)}) == "9 cpus, 0.5 gpus, 1.5 GiB"
    assert LOG == "ray.log"
