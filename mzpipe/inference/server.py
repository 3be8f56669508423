"""The inference server: answers every pending lane in one batch per kind and weights version.

Reads   lane requests, weights      Writes  lane responses
Owns    the networks and their pool of hidden states on its device: [L * T * N, hidden state]

A lap starts a batch and goes on; a later lap, which finds that it has landed, answers its lanes. So on a GPU the next
batch is gathered while one is on the device, and no lap waits for it. On a CPU a batch lands as it starts.

Shape legend    L lanes   T trees of a lane   N nodes of a tree   R rows of a batch
"""

import time
from collections import deque
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch

from ..errors import MzpipeError
from ..ipc.lane import RequestKind
from ..ipc.messages import Note
from ..ipc.roles import Role
from ..ipc.stages import Stage
from ..ipc.weights import WeightsSubscriber
from ..nets import use_device
from ..nets.engines import Flight, Network
from ..nets.engines.networks import make_networks
from ..nets.pinned import register
from ..runtime.agent import Agent
from ..runtime.context import RoleContext
from .pool import common_version, gather_kernel, nodes_of_a_tree, root_rows, scatter_kernel
from .versions import ResidentVersions, num_resident

_NS_PER_US, _NS_PER_S = 1_000, 1e9


class _Batch(NamedTuple):
    """A batch on its way: its lanes, which belong to the server until they are answered, and its weights version."""

    flight: Flight
    lanes: np.ndarray
    num_rows: int
    version: int
    started_ns: int


class InferenceServer(Agent):
    """Agent of role `inference`."""

    role = Role.INFERENCE

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._device = torch.device(context.device)
        self._is_on_gpu = self._device.type == "cuda"
        self._closing = ExitStack()

    def on_start(self) -> None:
        """Allocates pool, staging arrays and networks; the weights follow once the learner has published them."""
        use_device(self._device, self._profile.inference.precision)
        shape = self._plane.shape
        self._lanes = self._plane.lane_server(self._index)
        self._block = self._lanes.block
        self._num_places = shape.num_places
        self._num_trees = self._block["action"].shape[1]
        self._num_nodes = nodes_of_a_tree(self._profile)
        max_rows = self._block["action"].size
        networks = make_networks(
            self._profile,
            shape,
            self._device,
            count=num_resident(shape),
            pool_rows=max_rows * self._num_nodes,
            max_batch=max_rows,
            note=self._note,
        )
        for network in networks:
            network.prepare()
        self._versions = ResidentVersions(networks, WeightsSubscriber(self._plane.weights()), self._block)
        # Observations are copied to a GPU from where their client put them.
        self._closing.enter_context(register(self._block["observation"], self._device, self._note))
        self._free, self._in_flight = deque(networks[0].flights), deque[_Batch]()
        self._is_in_flight_L = np.zeros(len(self._block["request"]), np.bool_)
        self._finished_L = np.zeros(len(self._block["request"]), np.int32)
        # Arguments of the kernels that run for every batch, looked up only once.
        block = self._block
        self._gathered = (block["num_rows"], block["node_index"], block["parent_index"], block["action"])
        self._searches = (block["num_rows"], block["node_index"], block["last_node"])
        answers = ("reward", "value", "policy_logits", "weights_version")
        self._answers = (*(block[name] for name in answers), self._finished_L)
        self._candidates = block.get("candidates")
        self._waiting_since_ns = self._started_ns = 0

    def on_close(self) -> None:
        """Gives the lanes' memory back to the driver, once no copy reads it."""
        self._closing.close()

    def do_work(self) -> int:
        """Answers the batches that have landed, and starts the pending requests once they are worth a batch."""
        work_count = self._answer_landed() + self._start_pending()
        if self._in_flight:
            self._clock.goes_on()
            return 1  # a batch takes less than any sleep
        return work_count

    def _start_pending(self) -> int:
        loaded = self._versions.refresh()
        if loaded:
            self._counters.set("weights_version", self._versions.newest)
            self._clock.skip()
        pending = self._lanes.pending()
        if self._in_flight:
            pending = pending[~self._is_in_flight_L[pending]]
        if self._versions.newest == 0 or len(pending) == 0 or not self._free:
            return int(loaded)
        if self._should_wait(len(pending)):
            self._clock.starved()
            return 1  # the time-out is shorter than any sleep
        for lanes, kind, version in self._groups(pending):
            if self._free:
                self._start(lanes, kind, version)
        return len(pending)

    def _should_wait(self, num_pending: int) -> bool:
        timeout_ns = self._profile.inference.batch_timeout_us * _NS_PER_US
        if timeout_ns == 0 or num_pending >= self._num_expected():
            self._waiting_since_ns = 0
            return False
        now_ns = time.monotonic_ns()
        self._waiting_since_ns = self._waiting_since_ns or now_ns
        if now_ns - self._waiting_since_ns < timeout_ns:
            return True
        self._waiting_since_ns = 0
        return False

    def _num_expected(self) -> int:
        """The number of lanes to wait for; a lane that asks for roots alone does so rarely and does not count."""
        searching_L = (self._block["attached"] != 0) & (self._block["last_node"] != 0)
        return int((searching_L & ~self._is_in_flight_L).sum())

    def _groups(self, pending: np.ndarray) -> list[tuple[np.ndarray, RequestKind, int]]:
        """Groups of lanes that may share a batch: same kind, same weights version.

        A request for a later node on a lane that holds no version continues a search whose
        client died, or whose hidden states died with a former server: its answer is void.
        """
        held_L = self._versions.held_L
        common = common_version(pending, self._block["kind"], held_L, int(RequestKind.RECURRENT))
        if common:
            return [(pending, RequestKind.RECURRENT, common)]
        groups: dict[tuple[RequestKind, int], list[int]] = {}
        for lane in pending.tolist():
            kind = RequestKind(self._block["kind"][lane])
            begins = kind is RequestKind.ROOT and self._block["node_index"][lane] == 0
            version = self._versions.adopt(lane) if begins else int(held_L[lane])
            if version == 0:
                self._lanes.respond_void(lane)
                continue
            groups.setdefault((kind, version), []).append(lane)
        return [(np.array(lanes, np.int32), kind, version) for (kind, version), lanes in groups.items()]

    def _start(self, lanes: np.ndarray, kind: RequestKind, version: int) -> None:
        network, flight = self._versions.network(version), self._free[0]
        self._lanes.gathered(lanes)
        if self._in_flight:
            self._clock.add(Stage.INFERENCE_DEVICE, 0)  # gathering begins: until now we waited for the device
        start = self._start_roots if kind is RequestKind.ROOT else self._start_children
        num_rows = start(network, flight, lanes)
        if self._is_on_gpu:
            self._counters.add("launch_time", (time.monotonic_ns() - self._started_ns) / _NS_PER_S)
        if flight.landed():
            self._clock.end(Stage.INFERENCE_DEVICE, num_rows)
            self._answer(flight, lanes, num_rows, version)
            return
        self._is_in_flight_L[lanes] = True
        lanes = lanes.copy()  # `pending` reuses its array in the next lap
        self._in_flight.append(_Batch(self._free.popleft(), lanes, num_rows, version, self._started_ns))

    def _start_roots(self, network: Network, flight: Flight, lanes: np.ndarray) -> int:
        num_rows_L = self._block["num_rows"]
        num_rows = root_rows(lanes, num_rows_L, self._num_trees, self._num_nodes, flight.target_R)
        observations = [self._block["observation"][lane, : num_rows_L[lane]] for lane in lanes]
        if num_rows != sum(map(len, observations)):
            raise MzpipeError(f"lanes {lanes.tolist()}: a request names more rows than a lane has ({self._num_trees})")
        self._gather_ends(num_rows)
        network.start_roots(flight, observations)
        return num_rows

    def _start_children(self, network: Network, flight: Flight, lanes: np.ndarray) -> int:
        rows = (flight.source_R, flight.target_R, flight.action_R)
        num_rows: int = gather_kernel(lanes, *self._gathered, self._num_nodes, self._num_places, *rows)
        if num_rows < 0:
            raise MzpipeError(f"lane {-1 - num_rows}: a request names a node or action out of range")
        self._gather_ends(num_rows)
        network.start_children(flight, num_rows)
        return num_rows

    def _gather_ends(self, num_rows: int) -> None:
        self._clock.end(Stage.INFERENCE_GATHER, num_rows)
        self._started_ns = time.monotonic_ns()

    def _answer_landed(self) -> int:
        """Answers the batches that have landed, oldest first; returns how many."""
        num_batches = 0
        while self._in_flight and self._in_flight[0].flight.landed():
            batch = self._in_flight.popleft()
            self._free.append(batch.flight)
            self._is_in_flight_L[batch.lanes] = False
            self._clock.add(Stage.INFERENCE_DEVICE, batch.num_rows)
            self._clock.took(Stage.INFERENCE_DEVICE, time.monotonic_ns() - batch.started_ns)
            self._answer(batch.flight, batch.lanes, batch.num_rows, batch.version)
            num_batches += 1
        return num_batches

    def _answer(self, flight: Flight, lanes: np.ndarray, num_rows: int, version: int) -> None:
        if self._is_on_gpu:
            self._counters.add("device_time", flight.device_seconds())
        num_finished = scatter_kernel(lanes, *self._searches, flight.answer_RC, version, *self._answers)
        if self._candidates is not None and self._block["node_index"][lanes[0]] == 0:
            self._give_candidates(self._candidates, lanes, flight.answer_RC)
        for lane in self._finished_L[:num_finished].tolist():
            self._versions.finish(lane)
        self._lanes.respond(lanes)
        self._clock.end(Stage.INFERENCE_REPLY, num_rows)
        self._counters.add("batches")
        self._counters.add("batch_rows", num_rows)

    def _give_candidates(self, candidates_LTAD: np.ndarray, lanes: np.ndarray, answer_RC: np.ndarray) -> None:
        """Writes each lane the candidates of its roots, which follow the policy logits."""
        row, first = 0, 2 + self._num_places
        for lane in lanes.tolist():
            end = row + int(self._block["num_rows"][lane])
            given_TAD = candidates_LTAD[lane, : end - row]
            given_TAD[:] = answer_RC[row:end, first:].reshape(given_TAD.shape)
            row = end

    def _note(self, line: str) -> None:
        self._control.send(Note(line))
