"""Networks in onnxruntime, for CPUs: the model is traced once, and every weights version is a pair of sessions.

Making a session lets onnxruntime fold, fuse and lay out the weights for this processor; it takes 5 to 50 ms.

Shape legend    R rows of a batch   A actions
"""

import functools
from collections.abc import Callable

import numpy as np
import onnxruntime as ort
from torch import Tensor

from ..nets import Model
from ..nets.onnx_inference import inference_graphs

_ERRORS_ONLY = 3
# Of an arena: no more than is asked for at a time.
_GROW_AS_NEEDED = 1

# (root, child): each takes its inputs by name and gives hidden states and answers; see `nets.onnx_inference`.
Sessions = tuple[ort.InferenceSession, ort.InferenceSession]


class Pool:
    """Hidden states of all nodes, and where a batch's rows of them, its actions and its answers lie in between."""

    def __init__(self, num_rows: int, hidden_shape: tuple[int, ...], max_batch: int, num_actions: int) -> None:
        self.states = np.zeros((num_rows, *hidden_shape), np.float32)
        self.state_R, self.next_state_R = (np.zeros((max_batch, *hidden_shape), np.float32) for _ in range(2))
        self.action_R, self.answer_RC = (
            np.zeros(max_batch, np.int32),
            np.zeros((max_batch, 2 + num_actions), np.float32),
        )


class OnnxNetwork:
    """One pair of sessions; see `Network`. Answers lie in the pool, so the next batch overwrites them."""

    def __init__(self, make_sessions: Callable[[np.ndarray], Sessions], pool: Pool) -> None:
        self._make_sessions, self._pool = make_sessions, pool
        self._sessions: Sessions | None = None
        self._bindings: dict[int, ort.IOBinding] = {}  # of the child's session, by rows

    def load(self, weights: np.ndarray) -> None:
        """Makes sessions with these weights."""
        self._sessions = self._make_sessions(weights)
        self._bindings.clear()

    def infer_roots(self, observation_R: np.ndarray, target_R: np.ndarray) -> np.ndarray:
        """Initial inference."""
        assert self._sessions is not None
        pool, answer_RC = self._pool, self._pool.answer_RC[: len(target_R)]
        pool.states[target_R], answer_RC[:, 1:] = self._sessions[0].run(None, {"observation": observation_R})
        answer_RC[:, 0] = 0.0
        return answer_RC

    def infer_children(self, source_R: np.ndarray, target_R: np.ndarray, action_R: np.ndarray) -> np.ndarray:
        """Recurrent inference."""
        assert self._sessions is not None
        pool, rows = self._pool, len(source_R)
        # Rows are in range; "clip" says not to check, which would take a buffer more.
        np.take(pool.states, source_R, axis=0, out=pool.state_R[:rows], mode="clip")
        pool.action_R[:rows] = action_R
        binding = self._bindings.get(rows) or self._bind(rows)
        self._sessions[1].run_with_iobinding(binding)
        pool.states[target_R] = pool.next_state_R[:rows]
        return pool.answer_RC[:rows]

    def _bind(self, rows: int) -> ort.IOBinding:
        """Tells the child's session where a batch of so many rows lies."""
        assert self._sessions is not None
        pool, binding = self._pool, self._sessions[1].io_binding()
        for name, array in (("hidden_state", pool.state_R), ("action", pool.action_R)):
            binding.bind_input(name, *_place(array[:rows]))
        for name, array in (("next_hidden_state", pool.next_state_R), ("answer", pool.answer_RC)):
            binding.bind_output(name, *_place(array[:rows]))
        self._bindings[rows] = binding
        return binding


def _place(array: np.ndarray) -> tuple[str, int, np.dtype, tuple[int, ...], int]:
    """An array in the host's memory, as bindings take it."""
    return "cpu", 0, array.dtype, array.shape, array.ctypes.data


def session_maker(model: Model, observation: Tensor, num_threads: int) -> Callable[[np.ndarray], Sessions]:
    """What makes sessions of this model, with the weights of a flat array; `observation` as for `inference_graphs`."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = num_threads, 1
    options.log_severity_level = _ERRORS_ONLY
    _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Threads that spin for work would take the cores from the other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graphs = inference_graphs(model, observation)

    def make(weights: np.ndarray) -> Sessions:
        root, child = (
            ort.InferenceSession(graph.filled(weights), options, providers=["CPUExecutionProvider"]) for graph in graphs
        )
        return root, child

    return make


@functools.cache
def _share_arena() -> None:
    """One arena for all sessions of this process: only one of them runs at a time, and each would keep its peak."""
    kind = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(kind, ort.OrtArenaCfg(0, _GROW_AS_NEEDED, -1, -1))


def make_onnx_networks(
    model: Model, observation: Tensor, *, count: int, pool: Pool, num_threads: int
) -> list[OnnxNetwork]:
    """So many networks over one pool; `observation` as for `inference_graphs`."""
    make_sessions = session_maker(model, observation, num_threads)
    return [OnnxNetwork(make_sessions, pool) for _ in range(count)]
