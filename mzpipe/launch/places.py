"""Starts a run's pods in the bundles that Ray holds for them, watches them, and starts them again."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cluster.identity import ADDRESS_FILE, code_identity
from ..cluster.keys import write_placed
from ..cluster.node import POD, Ended, Facts, PodNode
from ..config.cluster import split_address
from ..errors import ExitCode, InputOutputError
from ..format import shown
from ..runtime.process import describe_exit
from .bundles import Task
from .roster import next_start_s

_LOOK_S, _SILENT_S, _STOP_S = 1.0, 30.0, 20.0
_ANY = ("0.0.0.0", "[::]")


@dataclass(frozen=True)
class Go:
    """What pods are started with: the run's directory, that of its shared memory, and the head's public key."""

    run: str
    runtime: str
    head_public: str
    # Where what Ray prints goes from now on.
    log: str
    program: Sequence[str] = POD


@dataclass
class Place:
    """One pod: where it is, and the call of its actor that is under way."""

    pod: int
    actor: Any = None
    call: Any = None
    step: str = ""
    # Of the call; or when the next is due.
    since_s: float = 0.0
    where: str = ""
    is_over: bool = False
    is_told_silent: bool = False
    deaths_s: deque[float] = field(default_factory=deque)

    def ask(self, step: str, call: Any) -> None:
        """Begins a call."""
        self.step, self.call, self.since_s, self.is_told_silent = step, call, time.monotonic(), False


class Places:
    """All pods of a task; `group` holds their bundles, and `say` shows a line."""

    def __init__(self, task: Task, go: Go, ray: Any, group: Any, say: Callable[[str], None]) -> None:
        self._task, self._go, self._ray, self._group, self._say = task, go, ray, group, say
        self._places = [Place(pod) for pod in range(task.pods)]
        self._keys: dict[int, str] = {}
        self._code = code_identity()
        self._node_class: Any = ray.remote(PodNode)

    def turn(self) -> None:
        """Begins the calls that are due, and takes in those that have ended."""
        now_s = time.monotonic()
        for place in self._places:
            if not place.is_over and place.call is None and now_s >= place.since_s:
                self._go_on(place)
        calls = {place.call: place for place in self._places if place.call is not None}
        ready = self._ray.wait(list(calls), num_returns=len(calls), timeout=0)[0] if calls else []
        for call in ready:
            self._take(calls[call])
        for place in self._places:
            if place.call is not None and place.step == "look" and now_s - place.since_s > _SILENT_S:
                self._tell_silent(place)

    def _go_on(self, place: Place) -> None:
        if place.actor is None:
            place.actor = self._new_actor(place.pod)
            place.ask("facts", place.actor.facts.remote())
        elif place.step == "key":
            address = self._address()
            if address:
                place.ask("start", place.actor.start.remote(address, list(self._go.program)))
        else:
            place.ask("look", place.actor.look.remote())

    def _new_actor(self, pod: int) -> Any:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        resources = dict(self._task.resources)
        return self._node_class.options(
            num_cpus=resources.pop("CPU", 0),
            num_gpus=resources.pop("GPU", 0),
            memory=resources.pop("memory", 0),
            resources=resources,
            max_restarts=0,
            scheduling_strategy=PlacementGroupSchedulingStrategy(self._group, placement_group_bundle_index=pod),
        ).remote()

    def _address(self) -> str:
        """Where pods reach the gateway; "" before it listens."""
        with contextlib.suppress(OSError, ValueError):  # it is not there, or only half of it
            host, port = split_address((Path(self._go.runtime) / ADDRESS_FILE).read_text())
            return f"{self._ray.util.get_node_ip_address() if host in _ANY else host}:{port}"
        return ""

    def _take(self, place: Place) -> None:
        call, place.call = place.call, None
        try:
            answer = self._ray.get(call)
        except self._ray.exceptions.RayActorError as error:
            self._died(place, actor_fault(error))
            return
        except self._ray.exceptions.RayTaskError as error:
            self._died(place, shown(error.cause))
            return
        try:
            self._take_answer(place, answer)
        except InputOutputError as error:  # the disk of this machine may be full
            self._died(place, str(error))

    def _take_answer(self, place: Place, answer: Any) -> None:
        place.since_s = time.monotonic() + (_LOOK_S if place.step == "look" else 0.0)
        match place.step:
            case "facts":
                self._take_facts(place, answer)
            case "key":
                self._keys[place.pod] = answer
                write_placed(Path(self._go.run), self._keys)
            case "start":
                place.step = "look"
                self._say(f"pod-{place.pod} is started on {place.where}")
            case _ if answer is not None:
                self._ended(place, answer)

    def _take_facts(self, place: Place, facts: Facts) -> None:
        place.where = facts.host
        if facts.code != self._code:
            self._give_up(place, f"has mzpipe {facts.code}, this machine {self._code}: install the same on both")
        else:
            place.ask("key", place.actor.make_key.remote(place.pod, self._go.head_public))

    def _ended(self, place: Place, ended: Ended) -> None:
        if ended.code == ExitCode.FINISHED:  # the run has told it to
            place.is_over = True
        elif ended.code == ExitCode.USAGE:
            self._give_up(place, f"is refused: {ended.said}")
        else:
            self._died(place, ": ".join(filter(None, [f"it {describe_exit(ended.code)}", ended.said])))

    def _died(self, place: Place, why: str) -> None:
        self._drop(place)
        restart_s = next_start_s(place.deaths_s, time.monotonic())
        if restart_s is None:
            self._give_up(place, f"has died once too often ({why})")
            return
        place.since_s = restart_s
        self._say(f"{self._name(place)}: {why}: it is placed again")

    def _give_up(self, place: Place, why: str) -> None:
        self._drop(place)
        place.is_over = True
        self._say(f"{self._name(place)} {why}: the run goes on without it")

    def _name(self, place: Place) -> str:
        return f"pod-{place.pod}{f' on {place.where}' if place.where else ''}"

    def _drop(self, place: Place) -> None:
        if place.actor is not None:
            self._ray.kill(place.actor)
        place.actor = place.call = None

    def _tell_silent(self, place: Place) -> None:
        if not place.is_told_silent:
            place.is_told_silent = True
            self._say(f"{self._name(place)} has not answered for {_SILENT_S:.0f} s: Ray watches its node")

    def close(self) -> None:
        """Stops every pod in order."""
        actors = [place.actor for place in self._places if place.actor is not None]
        if actors:
            self._ray.wait([actor.stop.remote() for actor in actors], num_returns=len(actors), timeout=_STOP_S)
        for place in self._places:
            self._drop(place)


def actor_fault(error: Exception) -> str:
    """Why an actor is gone, in a few words."""
    text = str(error)
    if "No module named 'mzpipe'" in text:
        return "mzpipe is not installed there"
    known = {"node": "its node has died", "killed": "its worker was killed", "memory": "its node has no memory left"}
    return next((words for word, words in known.items() if word in text), shown(error))
