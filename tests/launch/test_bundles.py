"""What is refused before Ray is asked for anything, and how places are watched; a stand-in for Ray."""

from types import SimpleNamespace

import pytest

from mzpipe.cluster.node import Ended, Facts
from mzpipe.errors import ExitCode, UsageError
from mzpipe.extras import how_to_install
from mzpipe.launch import places
from mzpipe.launch.bundles import Bundles, Task
from mzpipe.launch.places import Go, Places, actor_fault
from mzpipe.launch.train import refuse_without_pods
from tests.tiny import tiny_profile

TASK = Task("auto", pods=3, resources={"CPU": 3.0, "memory": float(1 << 30)}, listen="127.0.0.1:0")


def ray_of(*nodes, here="10.0.0.1"):
    """A cluster with nodes of (address, cpus)."""
    listed = [
        {
            "Alive": True,
            "NodeManagerHostname": f"host{number}",
            "NodeManagerAddress": address,
            "Resources": {"CPU": cpus, "memory": float(8 << 30)},
        }
        for number, (address, cpus) in enumerate(nodes)
    ]
    return SimpleNamespace(nodes=lambda: listed, util=SimpleNamespace(get_node_ip_address=lambda: here))


def test_small_cluster_is_refused_with_what_its_nodes_have():
    ray = ray_of(("10.0.0.1", 2.0), ("10.0.0.2", 7.0))
    with pytest.raises(UsageError) as caught:
        Bundles(TASK, ray).reserve(lambda: False)
    assert str(caught.value) == (
        "--ray: the cluster holds 2 of 3 x 3 cpus, 1.0 GiB: host1 (10.0.0.2) has 7 cpus, 8.0 GiB; host0 (10.0.0.1) has "
        "2 cpus, 8.0 GiB: add nodes, or lower cluster.pods, cluster.cpus or cluster.memory_bytes"
    )


def test_loopback_is_refused_where_other_machines_belong_to_the_cluster():
    bundles = Bundles(TASK, ray_of(("10.0.0.1", 9.0), ("10.0.0.2", 9.0)))
    with pytest.raises(UsageError, match=r"listen='127.0.0.1:0' cannot be reached from 10.0.0.2: set .*='10.0.0.1:0'"):
        bundles._refuse_loopback()
    Bundles(TASK, ray_of(("10.0.0.1", 9.0)))._refuse_loopback()


def test_ray_without_pods_or_without_ray_is_refused(monkeypatch):
    with pytest.raises(UsageError, match=r"cluster\.pods=0: set it to the number of pods"):
        refuse_without_pods(tiny_profile())
    monkeypatch.setattr("mzpipe.extras.find_spec", lambda name: None)
    with pytest.raises(UsageError) as caught:
        refuse_without_pods(tiny_profile("cluster.pods=1"))
    assert str(caught.value) == f"--ray: ray is not installed: {how_to_install('ray')}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The actor died ... ModuleNotFoundError: No module named 'mzpipe'", "mzpipe is not installed there"),
        ("The actor died because its node has died.", "its node has died"),
        ("Something new\nin two lines", "Something new in two lines"),
    ],
)
def test_why_an_actor_is_gone_in_a_few_words(text, words):
    assert actor_fault(RuntimeError(text)) == words


class Calls:
    """A Ray whose actors answer at once, by `answers`; an exception is raised."""

    class exceptions:
        class RayActorError(Exception):
            pass

        class RayTaskError(Exception):
            pass

    def __init__(self, answers):
        self.answers, self.kills, self.made = answers, 0, 0

    def remote(self, kind):
        return self

    def options(self, **options):
        return SimpleNamespace(remote=self._new)

    def _new(self):
        self.made += 1
        names = ("facts", "make_key", "start", "look", "stop")
        return SimpleNamespace(**{name: SimpleNamespace(remote=lambda *_, name=name: (name,)) for name in names})

    def wait(self, calls, **_):
        return calls, []

    def get(self, call):
        answer = self.answers[call[0]]
        answer = answer.pop(0) if isinstance(answer, list) else answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    def kill(self, actor):
        self.kills += 1


FACTS = Facts("node", "0.1.0", places.code_identity(), "3.11", 1, 1, 0.0)


@pytest.fixture
def watched(tmp_path, monkeypatch):
    """Turns until nothing is due; returns the lines and the stand-in for Ray."""
    (tmp_path / "cluster").mkdir()
    (tmp_path / "address").write_text("127.0.0.1:7000")
    monkeypatch.setattr(Places, "_new_actor", lambda self, pod: self._node_class._new())
    clock = SimpleNamespace(now_s=0.0)
    monkeypatch.setattr(places.time, "monotonic", lambda: clock.now_s)

    def watch(turns=40, step_s=1.0, **answers):
        ray, lines = Calls({"facts": FACTS, "make_key": "x" * 40, "start": None, "look": None, **answers}), []
        task = Task("auto", 1, {"CPU": 1.0}, "127.0.0.1:0")
        go = Go(str(tmp_path), str(tmp_path), "h" * 40, "log")
        found = Places(task, go, ray, None, lines.append)
        for _ in range(turns):
            found.turn()
            clock.now_s += step_s
        return lines, ray

    return watch


def test_pod_that_plays_is_started_once(watched):
    lines, ray = watched()
    assert (lines, ray.made, ray.kills) == (["pod-0 is started on node"], 1, 0)


def test_pod_whose_run_has_ended_is_not_started_again(watched):
    lines, ray = watched(look=Ended(ExitCode.FINISHED, "the run has ended"))
    assert (lines, ray.made) == (["pod-0 is started on node"], 1)


def test_node_with_other_sources_is_done_without(watched):
    other = Facts("node", "0.2.0", "0.2.0-fff", "3.11", 1, 1, 0.0)
    lines, ray = watched(facts=other)
    assert ray.made == 1
    assert lines == [
        f"pod-0 on node has mzpipe 0.2.0-fff, this machine {places.code_identity()}: install the same on both: the run "
        "goes on without it"
    ]


def test_pod_that_always_dies_is_given_up_after_its_budget(watched):
    died = Calls.exceptions.RayActorError("The actor died because its node has died.")
    lines, ray = watched(turns=60, look=died)
    assert ray.made == 6
    assert lines[1] == "pod-0 on node: its node has died: it is placed again"
    assert lines[-1] == "pod-0 on node has died once too often (its node has died): the run goes on without it"


def test_pod_that_dies_now_and_then_is_always_started_again(watched):
    lines, ray = watched(turns=400, step_s=1.0, look=[*([None] * 30 + [Ended(-9, "")]) * 8, *[None] * 400])
    assert ray.made == 9
    assert lines[1] == "pod-0 on node: it was killed by SIGKILL: it is placed again"
