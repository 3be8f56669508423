"""The memory that every process of a run takes: on the host, and on the GPU that it computes on."""

from dataclasses import dataclass
from typing import NamedTuple

from ..ipc.layout import Field
from ..ipc.roles import Role

_MIB = 1 << 20
# Pages of programs and libraries that all processes share.
_LIBRARIES_BYTES = 150 * _MIB
_LEARNER_BYTES, _INFERENCE_BYTES = 265 * _MIB, 222 * _MIB
_PLAIN_BYTES, _SUPERVISOR_BYTES = 80 * _MIB, 62 * _MIB
# OpenVINO's libraries and its own layout of the weights, in a server of residual networks.
_OPENVINO_BYTES = 78 * _MIB
# Copies of the parameters: themselves, gradients, two moments, the flat copy that is published, and the gradients of
# the trial step before a checkpoint, which leaves those of the last step alone.
_LEARNER_COPIES = 6
# Copies of a resident model: for roots and for children. Copies of a batch's hidden states: input and output.
_RESIDENT_COPIES, _BATCH_COPIES = 2, 2
# Counts the outputs of modules, and those of the functions between them.
_TRAINING_FACTOR = 2
# Only with a GPU: the libraries of a torch with CUDA on the host, and a process's context on the device.
_CUDA_BYTES, _CONTEXT_BYTES = 1_200 * _MIB, 600 * _MIB
# Copies of the parameters on the host while a checkpoint is saved: themselves, two moments, and the published copy.
_CHECKPOINT_COPIES = 4
# Copies of the published weights in processes that pass them on or look at them.
_COPIES = {Role.EVALUATOR: 1, Role.GATEWAY: 2, Role.UPLINK: 1}
# Batches on the device: of the step whose result is not read yet, of the one that has begun, and the next; a captured
# step reads another. The batch of a checkpoint's trial takes the place of the second: no step has begun then.
_DEVICE_BATCHES = 3
# A captured graph: for roots and for children, of either of two batches in flight, for each model and each bucket of
# rows: the powers of two below the most rows, and those.
_GRAPH_BYTES, _GRAPH_KINDS = _MIB, 4


@dataclass(frozen=True)
class ModelSizes:
    """Bytes of one model as published and as the learner has it, of one hidden state, and of all modules' outputs
    for one root and for one unroll."""

    weights: int = 0
    training_weights: int = 0
    hidden_state: int = 0
    root_outputs: int = 0
    unroll_outputs: int = 0
    # The published state, by name, and the state of the model that the learner trains.
    state: tuple[Field, ...] = ()
    training_state: tuple[Field, ...] = ()

    @property
    def checkpoint(self) -> int:
        """Bytes of a checkpoint at most: published and trained weights, and two moments."""
        return self.weights + 3 * self.training_weights


@dataclass(frozen=True)
class RoleLoad:
    """The load of one process: how much it handles at once."""

    games: int = 0
    pool_nodes: int = 0
    resident_models: int = 0
    in_openvino: bool = False
    root_rows: int = 0
    observation_bytes: int = 0
    batch_size: int = 0
    # Bytes of one batch in its ring.
    batch_bytes: int = 0
    cuda_graphs: bool = False
    on_gpu: bool = False


def shared_bytes() -> int:
    """Bytes that a run takes once, however many processes it has; the supervisor is included."""
    return _LIBRARIES_BYTES + _SUPERVISOR_BYTES


class Needs(NamedTuple):
    """Private bytes of one process, without replay table and search trees."""

    host: int
    # Of its GPU; 0 without one.
    device: int = 0


def process_needs(role: Role, load: RoleLoad, model: ModelSizes, bytes_per_game: int) -> Needs:
    """What one process takes."""
    if role == Role.LEARNER:
        return _learner_needs(load, model)
    if role == Role.INFERENCE:
        return _inference_needs(load, model)
    copied = _COPIES.get(role, 0) * model.weights
    return Needs(_PLAIN_BYTES + copied + load.games * bytes_per_game)


def _learner_needs(load: RoleLoad, model: ModelSizes) -> Needs:
    """On the host is one batch more than in the rings: that of a checkpoint's trial."""
    outputs = _TRAINING_FACTOR * load.batch_size * model.unroll_outputs
    computing, host = _LEARNER_COPIES * model.training_weights + outputs, _LEARNER_BYTES + load.batch_bytes
    if not load.on_gpu:
        return Needs(host + computing)
    host += _CUDA_BYTES + _CHECKPOINT_COPIES * model.training_weights
    # A graph keeps its outputs to itself; the trial runs without it.
    graph = load.cuda_graphs * (outputs + load.batch_bytes)
    return Needs(host, _CONTEXT_BYTES + computing + _DEVICE_BATCHES * load.batch_bytes + graph)


def _inference_needs(load: RoleLoad, model: ModelSizes) -> Needs:
    row = load.observation_bytes + model.root_outputs + _BATCH_COPIES * model.hidden_state
    pool, models = load.pool_nodes * model.hidden_state, load.resident_models * _RESIDENT_COPIES * model.weights
    computing = models + pool + load.root_rows * row
    if not load.on_gpu:
        return Needs(_INFERENCE_BYTES + load.in_openvino * _OPENVINO_BYTES + computing)
    host = _INFERENCE_BYTES + _CUDA_BYTES + model.weights + load.root_rows * load.observation_bytes
    graphs = _GRAPH_KINDS * load.resident_models * ((load.root_rows - 1).bit_length() + 1)
    return Needs(host, _CONTEXT_BYTES + computing + graphs * _GRAPH_BYTES)
