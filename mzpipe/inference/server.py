"""The inference server: answers every pending lane in one batch per kind and weights version.

Reads   lane requests, weights      Writes  lane responses
Owns    the hidden-state pool on its device: [L * T * N, hidden state]

Shape legend    L lanes   T trees of a lane   N nodes of a tree   R rows of a batch   A actions
"""

import time

import numpy as np
import torch

from ..config import Profile
from ..errors import MzpipeError
from ..ipc.dataplane import DataPlane, Member
from ..ipc.lane import RequestKind
from ..ipc.messages import Message
from ..ipc.stages import Stage
from ..nets import Model, NetworkOutput, place_model
from ..weights import WeightsSubscriber
from .pool import gather_kernel, root_rows
from .versions import ResidentVersions

_NS_PER_US = 1_000


class InferenceServer:
    """Agent of role `inference`."""

    role = "inference"

    def __init__(self, profile: Profile, plane: DataPlane, index: int, device: str) -> None:
        self._profile, self._plane, self._index, self._device = profile, plane, index, torch.device(device)
        self._counters = plane.counters(Member(self.role, index))
        self._clock = plane.stage_clock(Member(self.role, index))

    def on_start(self) -> None:
        """Allocates pool, staging arrays and models; weights come once the learner has published them."""
        shape = self._plane.shape
        self._lanes = self._plane.lane_server(self._index)
        self._block = self._lanes.block
        self._num_actions = shape.num_actions
        self._num_trees = self._block["action"].shape[1]
        self._num_nodes = 1 + max(self._profile.search.num_simulations, self._profile.evaluator.num_simulations)
        model = place_model(Model(self._profile.network, shape.observation_shape, shape.num_actions), self._device)
        subscriber = WeightsSubscriber(self._plane.weights())
        self._versions = ResidentVersions(model, subscriber, self._block, target_networks=shape.reanalyzers > 0)
        max_rows = self._block["action"].size
        self._source_R = np.zeros(max_rows, np.int64)
        self._target_R = np.zeros(max_rows, np.int64)
        self._action_R = np.zeros(max_rows, np.int64)
        self._pool = torch.zeros(max_rows * self._num_nodes, *model.hidden_shape, device=self._device)
        self._waiting_since_ns = 0

    def do_work(self) -> int:
        """Answers what is pending, once it is worth a batch."""
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

    def on_message(self, message: Message) -> None:
        """Takes no messages."""

    def on_close(self) -> None:
        """Nothing outlives the process."""

    def _should_wait(self, num_pending: int) -> bool:
        timeout_ns = self._profile.inference.batch_timeout_us * _NS_PER_US
        # A lane that asks for roots only does so now and then: nobody waits for it.
        expected = (self._block["attached"] != 0) & (self._block["last_node"] != 0)
        if timeout_ns == 0 or num_pending >= int(expected.sum()):
            self._waiting_since_ns = 0
            return False
        now_ns = time.monotonic_ns()
        self._waiting_since_ns = self._waiting_since_ns or now_ns
        if now_ns - self._waiting_since_ns < timeout_ns:
            return True
        self._waiting_since_ns = 0
        return False

    def _groups(self, pending: np.ndarray) -> list[tuple[np.ndarray, RequestKind, int]]:
        """Lanes that may share a batch: same kind, same weights version.

        A recurrent request on a lane that holds no version was left by a client
        that died: nobody reads its answer, so it is answered empty.
        """
        groups: dict[tuple[RequestKind, int], list[int]] = {}
        for lane in pending:
            kind = RequestKind(self._block["kind"][lane])
            version = self._versions.adopt(lane) if kind is RequestKind.ROOT else self._versions.held(lane)
            if version == 0:
                self._lanes.respond(np.array([lane]))
                continue
            groups.setdefault((kind, version), []).append(int(lane))
        return [(np.array(lanes), kind, version) for (kind, version), lanes in groups.items()]

    @torch.inference_mode()
    def _answer(self, lanes: np.ndarray, kind: RequestKind, version: int) -> None:
        model = self._versions.model(version)
        if kind is RequestKind.ROOT:
            num_rows, answers = self._infer_roots(model, lanes)
        else:
            num_rows, answers = self._infer_children(model, lanes)
        self._scatter(lanes, answers)
        self._block["weights_version"][lanes] = version
        for lane in lanes[self._block["node_index"][lanes] == self._block["last_node"][lanes]]:
            self._versions.finish(int(lane))
        self._lanes.respond(lanes)
        self._clock.end(Stage.INFERENCE_REPLY, num_rows)
        self._counters.add("batches")
        self._counters.add("batch_rows", num_rows)

    def _infer_roots(self, model: Model, lanes: np.ndarray) -> tuple[int, np.ndarray]:
        rows = root_rows(lanes, self._block["num_rows"], self._num_trees, self._num_nodes)
        observations = [self._block["observation"][lane, : self._block["num_rows"][lane]] for lane in lanes]
        batch = torch.from_numpy(np.concatenate(observations)).to(self._device)
        self._clock.end(Stage.INFERENCE_GATHER, len(rows))
        output = model.initial_inference(batch)
        self._pool.index_copy_(0, torch.from_numpy(rows).to(self._device), output.hidden_state)
        return len(rows), self._brought_back(model, output)

    def _infer_children(self, model: Model, lanes: np.ndarray) -> tuple[int, np.ndarray]:
        block = self._block
        num_rows = gather_kernel(
            lanes,
            block["num_rows"],
            block["node_index"],
            block["parent_index"],
            block["action"],
            self._num_nodes,
            self._num_actions,
            self._source_R,
            self._target_R,
            self._action_R,
        )
        if num_rows < 0:
            raise MzpipeError(f"lane {-1 - num_rows}: a request names a node or action out of range")
        source, target, action = (
            torch.from_numpy(array[:num_rows]).to(self._device)
            for array in (self._source_R, self._target_R, self._action_R)
        )
        self._clock.end(Stage.INFERENCE_GATHER, num_rows)
        output = model.recurrent_inference(self._pool.index_select(0, source), action)
        self._pool.index_copy_(0, target, output.hidden_state)
        return num_rows, self._brought_back(model, output)

    def _brought_back(self, model: Model, output: NetworkOutput) -> np.ndarray:
        """The answers [R, 2 + A] in the host's memory; the device's time ends here, where they are waited for."""
        reward, value = model.reward(output).unsqueeze(1), model.value(output).unsqueeze(1)
        answers_RC: np.ndarray = torch.cat([reward, value, output.policy_logits_BA], dim=1).cpu().numpy()
        self._clock.end(Stage.INFERENCE_DEVICE, len(answers_RC))
        return answers_RC

    def _scatter(self, lanes: np.ndarray, answers_RC: np.ndarray) -> None:
        start = 0
        for lane in lanes:
            rows = int(self._block["num_rows"][lane])
            part = answers_RC[start : start + rows]
            self._block["reward"][lane, :rows] = part[:, 0]
            self._block["value"][lane, :rows] = part[:, 1]
            self._block["policy_logits"][lane, :rows] = part[:, 2:]
            start += rows
