"""Sessions in onnxruntime: least overhead per call, for networks of a few small layers."""

import functools

import numpy as np
import onnxruntime as ort

from .host_network import SessionMaker
from .host_pool import HostPool
from .onnx_inference import InferenceGraphs

_ERRORS_ONLY = 3
# The arena grows by no more than each request needs.
_GROW_AS_NEEDED = 1


def onnxruntime_maker(graphs: InferenceGraphs, pool: HostPool, *, num_threads: int) -> SessionMaker:
    """The maker of sessions for these graphs over the pool's arrays."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = num_threads, 1
    options.log_severity_level = _ERRORS_ONLY
    _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Threads that spin for work would take cores from the other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")

    def make(weights: np.ndarray) -> "_Sessions":
        root, child = (
            ort.InferenceSession(graph.filled(weights), options, providers=["CPUExecutionProvider"]) for graph in graphs
        )
        return _Sessions(root, child, pool)

    return make


class _Sessions:
    """See `Sessions`."""

    def __init__(self, root: ort.InferenceSession, child: ort.InferenceSession, pool: HostPool) -> None:
        self._root, self._child, self._pool = root, child, pool
        self._bindings: dict[int, ort.IOBinding] = {}  # of the child's session, by number of rows

    def run_root(self, observation_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        states_R, answer_R = self._root.run(None, {"observation": observation_R})
        return states_R, answer_R

    def run_child(self, num_rows: int) -> None:
        self._child.run_with_iobinding(self._bindings.get(num_rows) or self._bind(num_rows))

    def _bind(self, num_rows: int) -> ort.IOBinding:
        """Binds the child's session to the arrays of a batch with this many rows."""
        pool, binding = self._pool, self._child.io_binding()
        for name, array in (("hidden_state", pool.state_R), ("action", pool.action_R)):
            binding.bind_input(name, *_place(array[:num_rows]))
        for name, array in (("next_hidden_state", pool.next_state_R), ("answer", pool.answer_RC)):
            binding.bind_output(name, *_place(array[:num_rows]))
        self._bindings[num_rows] = binding
        return binding


def _place(array: np.ndarray) -> tuple[str, int, np.dtype, tuple[int, ...], int]:
    """The arguments by which a binding takes an array in the host's memory."""
    return "cpu", 0, array.dtype, array.shape, array.ctypes.data


@functools.cache
def _share_arena() -> None:
    """Makes all sessions of this process share one arena: only one runs at a time, and each would keep its own peak."""
    kind = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(kind, ort.OrtArenaCfg(0, _GROW_AS_NEEDED, -1, -1))
