"""Memory: what each process of a run takes beyond segments, replay table and search trees.

The constants are measured private pages (Linux, Python 3.11, torch 2.13 for
CPUs) after some minutes of training, rounded; a GPU's own memory is not in them.
"""

from dataclasses import dataclass

_MIB = 1 << 20
# Pages of programs and libraries, which all processes share.
_LIBRARIES_BYTES = 150 * _MIB
_LEARNER_BYTES, _INFERENCE_BYTES, _TORCH_BYTES = 265 * _MIB, 222 * _MIB, 197 * _MIB
_PLAIN_BYTES, _SUPERVISOR_BYTES = 80 * _MIB, 62 * _MIB
# Of a server of residual networks: OpenVINO's own libraries, and where it lays weights out.
_OPENVINO_BYTES = 78 * _MIB
# Parameters, gradients and two moments; the flat copy that is published.
_LEARNER_COPIES = 5
# Of a resident model: for roots and for children. Of a batch's hidden states: on their way in and on their way out.
_RESIDENT_COPIES, _BATCH_COPIES = 2, 2
# Outputs of modules, and of the functions between them.
_TRAINING_FACTOR = 2
_TORCH_ROLES = ("learner", "inference", "evaluator")


@dataclass(frozen=True)
class ModelSizes:
    """Bytes of one model as it is published and as the learner has it, of one hidden state, and of all modules'
    outputs for one root and for one unroll."""

    weights: int = 0
    training_weights: int = 0
    hidden_state: int = 0
    root_outputs: int = 0
    unroll_outputs: int = 0


@dataclass(frozen=True)
class RoleLoad:
    """How much of everything a process handles at once."""

    games: int = 0
    pool_nodes: int = 0
    resident_models: int = 0
    in_openvino: bool = False
    root_rows: int = 0
    observation_bytes: int = 0
    batch_size: int = 0


def shared_bytes() -> int:
    """What a run takes once, the supervisor included."""
    return _LIBRARIES_BYTES + _SUPERVISOR_BYTES


def process_bytes(role: str, load: RoleLoad, model: ModelSizes, bytes_per_game: int) -> int:
    """Private bytes of one process, without replay table and search trees."""
    games = load.games * bytes_per_game
    if role not in _TORCH_ROLES:
        return _PLAIN_BYTES + games
    if role == "learner":
        batch = _TRAINING_FACTOR * load.batch_size * model.unroll_outputs
        return _LEARNER_BYTES + _LEARNER_COPIES * model.training_weights + batch
    if role == "inference":
        pool = load.pool_nodes * model.hidden_state
        row = load.observation_bytes + model.root_outputs + _BATCH_COPIES * model.hidden_state
        batch = load.root_rows * row
        runtime = _INFERENCE_BYTES + load.in_openvino * _OPENVINO_BYTES
        return runtime + load.resident_models * _RESIDENT_COPIES * model.weights + pool + batch
    return _TORCH_BYTES + model.weights + games
