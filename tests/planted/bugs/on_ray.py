"""Mistakes in placing pods, and in what is said of their links."""

from tests.planted.bug import Bug

BUGS = (
    Bug(
        "keeper-does-not-watch-its-worker",
        "cluster/keeper.py",
        "    poller.register(0, select.POLLIN)\n",
        "",
        "A pod is stopped when whoever placed it is gone.",
        ("cluster/test_node",),
    ),
    Bug(
        "keeper-kills-at-once",
        "cluster/keeper.py",
        "    child.signal(signal.SIGTERM)\n",
        "    child.signal(signal.SIGKILL)\n",
        "A pod is stopped in order, so that it leaves nothing.",
        ("cluster/test_node",),
    ),
    Bug(
        "key-of-a-placed-pod-is-unknown",
        "cluster/sockets.py",
        "        return self._names.get(public) or next(placed, None)\n",
        "        return self._names.get(public)\n",
        "A pod's key may be made on its own node.",
        ("cluster/test_placed_keys",),
    ),
    Bug(
        "refused-pod-is-placed-again",
        "launch/places.py",
        "        elif ended.code == ExitCode.USAGE:\n",
        "        elif ended.code == ExitCode.INTERNAL:\n",
        "A pod that the run refuses is not started again.",
        ("on_ray/test_placing",),
    ),
    Bug(
        "slot-is-free-before-the-record-is-stored",
        "measure/cluster/simulation.py",
        "        self._at(self._head_link.serve(self._now_s), lambda: self._arrive(actor))\n",
        "        self._slots[actor] += 1\n"
        "        self._at(self._head_link.serve(self._now_s), lambda: self._arrive(actor))\n",
        "No queue grows: at most the slots of all rings are under way.",
        ("measure/cluster/test_simulation",),
    ),
    Bug(
        "heads-own-actors-cross-the-link",
        "measure/cluster/forecast.py",
        "(cluster.link + head_rate * cargo.transition)",
        "cluster.link",
        "What the head plays itself crosses no link.",
        ("measure/cluster/test_forecast", "measure/cluster/test_lines"),
    ),
)
