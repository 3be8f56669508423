"""The inference server: answers every pending lane in one batch per kind and weights version.

Reads   lane requests, weights      Writes  lane responses
Owns    the networks and their pool of hidden states on its device: [L * T * N, hidden state]

Shape legend    L lanes   T trees of a lane   N nodes of a tree   R rows of a batch   A actions
"""

import time

import numpy as np
import torch

from ..errors import MzpipeError
from ..ipc.lane import RequestKind
from ..ipc.roles import Role
from ..ipc.stages import Stage
from ..ipc.weights import WeightsSubscriber
from ..nets import use_device
from ..nets.engines import Network
from ..nets.engines.networks import make_networks
from ..runtime.agent import Agent
from ..runtime.context import RoleContext
from .pool import common_version, gather_kernel, nodes_of_a_tree, root_rows, scatter_kernel
from .versions import ResidentVersions, num_resident

_NS_PER_US = 1_000


class InferenceServer(Agent):
    """Agent of role `inference`."""

    role = Role.INFERENCE

    def __init__(self, context: RoleContext) -> None:
        super().__init__(context)
        self._device = torch.device(context.device)

    def on_start(self) -> None:
        """Allocates pool, staging arrays and networks; the weights follow once the learner has published them."""
        use_device(self._device, self._profile.inference.precision)
        shape = self._plane.shape
        self._lanes = self._plane.lane_server(self._index)
        self._block = self._lanes.block
        self._num_actions = shape.num_actions
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
        )
        self._versions = ResidentVersions(networks, WeightsSubscriber(self._plane.weights()), self._block)
        observation = self._block["observation"]
        self._observation_R = np.zeros((max_rows, *observation.shape[2:]), observation.dtype)
        self._source_R = np.zeros(max_rows, np.int64)
        self._target_R = np.zeros(max_rows, np.int64)
        self._action_R = np.zeros(max_rows, np.int32)
        self._finished_L = np.zeros(len(self._block["request"]), np.int32)
        # Arguments of the kernels that run for every batch, looked up only once.
        block = self._block
        self._gathered = (block["num_rows"], block["node_index"], block["parent_index"], block["action"])
        self._rows = (self._source_R, self._target_R, self._action_R)
        self._searches = (block["num_rows"], block["node_index"], block["last_node"])
        answers = ("reward", "value", "policy_logits", "weights_version")
        self._answers = (*(block[name] for name in answers), self._finished_L)
        self._waiting_since_ns = 0

    def do_work(self) -> int:
        """Answers the pending requests once they are worth a batch."""
        loaded = self._versions.refresh()
        if loaded:
            self._counters.set("weights_version", self._versions.newest)
            self._clock.skip()
        pending = self._lanes.pending()
        if self._versions.newest == 0 or len(pending) == 0:
            return int(loaded)
        if self._should_wait(len(pending)):
            self._clock.starved()
            return 1  # the time-out is shorter than any sleep
        for lanes, kind, version in self._groups(pending):
            self._answer(lanes, kind, version)
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
        return int(((self._block["attached"] != 0) & (self._block["last_node"] != 0)).sum())

    def _groups(self, pending: np.ndarray) -> list[tuple[np.ndarray, RequestKind, int]]:
        """Groups of lanes that may share a batch: same kind, same weights version.

        A recurrent request on a lane that holds no version was left by a client
        that died. No process reads its answer, so it gets an empty one.
        """
        held_L = self._versions.held_L
        common = common_version(pending, self._block["kind"], held_L, int(RequestKind.RECURRENT))
        if common:
            return [(pending, RequestKind.RECURRENT, common)]
        groups: dict[tuple[RequestKind, int], list[int]] = {}
        for lane in pending.tolist():
            kind = RequestKind(self._block["kind"][lane])
            version = self._versions.adopt(lane) if kind is RequestKind.ROOT else int(held_L[lane])
            if version == 0:
                self._lanes.respond(np.array([lane], np.int32))
                continue
            groups.setdefault((kind, version), []).append(lane)
        return [(np.array(lanes, np.int32), kind, version) for (kind, version), lanes in groups.items()]

    def _answer(self, lanes: np.ndarray, kind: RequestKind, version: int) -> None:
        network = self._versions.network(version)
        self._lanes.gathered(lanes)
        answer_RC = (
            self._infer_roots(network, lanes) if kind is RequestKind.ROOT else self._infer_children(network, lanes)
        )
        num_rows = len(answer_RC)
        self._clock.end(Stage.INFERENCE_DEVICE, num_rows)
        num_finished = scatter_kernel(lanes, *self._searches, answer_RC, version, *self._answers)
        for lane in self._finished_L[:num_finished].tolist():
            self._versions.finish(lane)
        self._lanes.respond(lanes)
        self._clock.end(Stage.INFERENCE_REPLY, num_rows)
        self._counters.add("batches")
        self._counters.add("batch_rows", num_rows)

    def _infer_roots(self, network: Network, lanes: np.ndarray) -> np.ndarray:
        rows = root_rows(lanes, self._block["num_rows"], self._num_trees, self._num_nodes)
        observations = [self._block["observation"][lane, : self._block["num_rows"][lane]] for lane in lanes]
        batch = observations[0] if len(lanes) == 1 else self._observation_R[: len(rows)]
        if len(lanes) > 1:
            np.concatenate(observations, out=batch)
        self._clock.end(Stage.INFERENCE_GATHER, len(rows))
        return network.infer_roots(batch, rows)

    def _infer_children(self, network: Network, lanes: np.ndarray) -> np.ndarray:
        num_rows = gather_kernel(lanes, *self._gathered, self._num_nodes, self._num_actions, *self._rows)
        if num_rows < 0:
            raise MzpipeError(f"lane {-1 - num_rows}: a request names a node or action out of range")
        self._clock.end(Stage.INFERENCE_GATHER, num_rows)
        return network.infer_children(self._source_R[:num_rows], self._target_R[:num_rows], self._action_R[:num_rows])
