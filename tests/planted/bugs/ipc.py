"""Bugs of what processes share: rings, lanes, weights, counters, control."""

from ..bug import Bug

BUGS = (
    Bug(
        "answer-after-response-word",
        "inference/server.py",
        "        num_finished = scatter_kernel(lanes, *self._searches, flight.answer_RC, version, *self._answers)\n",
        "        self._lanes.respond(lanes)\n"
        "        num_finished = scatter_kernel(lanes, *self._searches, flight.answer_RC, version, *self._answers)\n",
        "An answer is written before its lane is marked as answered.",
        ("inference/test_server", "ipc/test_lane"),
    ),
    Bug(
        "epoch-after-commit",
        "ipc/ring.py",
        "    atomics.store_relaxed(header, _EPOCH, epoch)\n"
        "    # SYNC ring.commit release: the slot's payload and header\n"
        "    atomics.store_release(header, _COMMIT, sequence + 1)\n",
        "    # SYNC ring.commit release: the slot's payload and header\n"
        "    atomics.store_release(header, _COMMIT, sequence + 1)\n"
        "    atomics.store_relaxed(header, _EPOCH, epoch)\n",
        "A slot's header is whole before its commit word says so.",
        ("ipc/test_ring",),
    ),
    Bug(
        "ring-overrun",
        "ipc/ring.py",
        "        if sequence - self._tail >= ring.num_slots:\n            # SYNC ring.release acquire",
        "        if sequence - self._tail > ring.num_slots:\n            # SYNC ring.release acquire",
        "A producer never claims a slot that the consumer has not released.",
        ("ipc/test_ring",),
    ),
    Bug(
        "steps-after-stamp",
        "ipc/weights.py",
        '        segment["learner_steps"][index], segment["env_steps"][index] = learner_steps, env_steps\n'
        "        # SYNC weights.stamp release: the whole buffer\n"
        '        atomics.store_release(segment["stamp"][index], 0, version)\n',
        "        # SYNC weights.stamp release: the whole buffer\n"
        '        atomics.store_release(segment["stamp"][index], 0, version)\n'
        '        segment["learner_steps"][index], segment["env_steps"][index] = learner_steps, env_steps\n',
        "The steps of a version are written before its stamp.",
        ("ipc/test_weights",),
    ),
    Bug(
        "steps-read-after-check",
        "ipc/weights.py",
        '        learner_steps, env_steps = (int(segment[name][index]) for name in ("learner_steps", "env_steps"))\n'
        "        # SYNC weights.overwrite acquire: were the copy torn, the stamp would be gone by now\n"
        "        atomics.fence()\n"
        "        if atomics.load_ordered(stamp, 0) != version:\n"
        "            return None\n",
        "        # SYNC weights.overwrite acquire: were the copy torn, the stamp would be gone by now\n"
        "        atomics.fence()\n"
        "        if atomics.load_ordered(stamp, 0) != version:\n"
        "            return None\n"
        '        learner_steps, env_steps = (int(segment[name][index]) for name in ("learner_steps", "env_steps"))\n',
        "The steps of a pulled version are its own, also if its buffer is overwritten meanwhile.",
        ("ipc/test_weights",),
    ),
    Bug(
        "lane-forgets-flight",
        "ipc/lane.py",
        "        self._sequence = int(self._request[0])\n",
        "        self._sequence = int(self._response[0])\n",
        "The client of a lane on which a former one died with a request in flight waits for that answer.",
        ("ipc/test_lane",),
    ),
    Bug(
        "wait-clock-of-nothing",
        "ipc/counters.py",
        "        for name in self._marked:\n            self._counters.add(name, now_s - self._last_s)\n"
        "        self._last_s = now_s\n",
        "        self._last_s = now_s\n"
        "        for name in self._marked:\n            self._counters.add(name, now_s - self._last_s)\n",
        "A marked counter gets the time from the former lap to this one.",
        ("ipc/test_counters",),
    ),
    Bug(
        "no-handover",
        "ipc/control.py",
        "zmq.ROUTER_HANDOVER, 1",
        "zmq.ROUTER_HANDOVER, 0",
        "A restarted process takes over the connection of the one that died.",
        ("ipc/test_control",),
    ),
    Bug(
        "old-pin-kept",
        "inference/versions.py",
        "        if not (pin and pin == self._pin_L[lane] and self.held_L[lane]):\n",
        "        if not (pin and self.held_L[lane]):\n",
        "A client that changes its pin's number gets the newest weights.",
        ("inference/test_server", "reanalyze/test_reanalyzer"),
    ),
)
