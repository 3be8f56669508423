"""Sessions in OpenVINO: convolutions in the processor's best instructions, and in bfloat16 if it has that."""

import functools

import numpy as np
import openvino as ov

from ...errors import DeviceError
from .host_network import SessionMaker
from .host_pool import HostPool
from .onnx_inference import InferenceGraphs

_DEVICE = "CPU"


def openvino_maker(graphs: InferenceGraphs, pool: HostPool, *, num_threads: int, bfloat16: bool) -> SessionMaker:
    """The maker of sessions for these graphs over the pool's arrays.

    Raises DeviceError for bfloat16 on a processor that has no instructions for it.
    """
    if bfloat16 and not processor_has_bfloat16():
        raise DeviceError(
            'inference.precision="bfloat16": this processor has no instructions for it: use "float32" or "auto"'
        )
    core = shared_core()
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": num_threads,
        # The kernel chooses each process's core: pinned servers would all run on the first one.
        "ENABLE_CPU_PINNING": False,
    }

    def make(weights: np.ndarray) -> "_Sessions":
        root, child = (core.compile_model(core.read_model(graph.filled(weights)), _DEVICE, options) for graph in graphs)
        return _Sessions(root, child, pool)

    return make


@functools.cache
def shared_core() -> ov.Core:
    """The one OpenVINO core of this process, kept as long as the process lives.

    A core gives the calling thread a larger stack for signal handlers, which AMX needs. When it is freed, it frees that
    stack and restores the one it found. A second core would find, and later restore, a stack that the first one has
    freed, and the next signal would end the process with a segmentation fault.
    """
    return ov.Core()


def processor_has_bfloat16() -> bool:
    """Whether OpenVINO finds instructions that multiply in bfloat16 (AVX-512 BF16, AMX)."""
    return "BF16" in shared_core().get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")


class _Sessions:
    """See `Sessions`."""

    def __init__(self, root: ov.CompiledModel, child: ov.CompiledModel, pool: HostPool) -> None:
        self._root, self._child, self._pool = root.create_infer_request(), child, pool
        self._requests: dict[int, ov.InferRequest] = {}  # of the child's model, by number of rows

    def run_root(self, observation_R: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self._root.infer({"observation": observation_R}, share_inputs=True, share_outputs=True)
        return self._root.get_tensor("hidden_state").data, self._root.get_tensor("answer").data

    def run_child(self, num_rows: int) -> None:
        request = self._requests.get(num_rows) or self._bind(num_rows)
        request.start_async()
        request.wait()

    def _bind(self, num_rows: int) -> ov.InferRequest:
        """A request that reads and writes the pool's first rows in place."""
        pool, request = self._pool, self._child.create_infer_request()
        places = {
            "hidden_state": pool.state_R,
            "action": pool.action_R,
            "next_hidden_state": pool.next_state_R,
            "answer": pool.answer_RC,
        }
        for name, array in places.items():
            request.set_tensor(name, ov.Tensor(array[:num_rows], shared_memory=True))
        self._requests[num_rows] = request
        return request
