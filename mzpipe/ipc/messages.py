"""Control messages: typed, flat, small; one encoder and one decoder.

On the wire: one version byte, then a MessagePack map of the message's name under
"kind" and its fields. Anything else that arrives (too large, nested, extension types,
unknown, missing or duplicate keys, wrong types) is a MessageError.
"""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import msgpack

from ..errors import MessageError

M = TypeVar("M")
WIRE_VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024
# A message has at most three texts, so that it always fits.
MAX_TEXT_BYTES = 16 * 1024
_MAX_FIELDS = 32


@dataclass(frozen=True)
class Hello:
    """Role to supervisor, its first message: who it is. The answer is Welcome or silence."""

    run_id: str
    role: str
    index: int
    pid: int
    layout_version: int


@dataclass(frozen=True)
class Welcome:
    """Supervisor to role: its hello is accepted; epoch counts the starts of this process."""

    epoch: int


@dataclass(frozen=True)
class Ready:
    """Role to supervisor: set-up is done, work begins."""

    seconds: float


@dataclass(frozen=True)
class Failed:
    """Role to supervisor: the role ends because of an error."""

    exit_code: int
    summary: str
    traceback: str
    # Whether the error was raised on purpose: the role would meet it again, so a restart does not help.
    is_known: bool


@dataclass(frozen=True)
class SaveCheckpoint:
    """Supervisor to learner: save now."""

    request_id: int


@dataclass(frozen=True)
class CheckpointSaved:
    """Learner to supervisor: a checkpoint is on disk; request_id is 0 when the supervisor did not ask for it."""

    request_id: int
    learner_steps: int


@dataclass(frozen=True)
class NotSaved:
    """Learner to supervisor: the checkpoint that it asked for cannot be saved, because the state is not sound."""

    request_id: int
    exit_code: int
    summary: str


@dataclass(frozen=True)
class Evaluated:
    """Evaluator to supervisor: one evaluation ended."""

    weights_version: int
    learner_steps: int
    env_steps: int
    return_mean: float
    return_std: float
    episodes: int
    is_best: bool
    protocol: str


@dataclass(frozen=True)
class RunEnded:
    """Uplink to its pod's supervisor: the run on the other machine has ended, so the pod ends too."""

    reason: str


@dataclass(frozen=True)
class Note:
    """Role to supervisor: one line for the user."""

    text: str


class Codec(Generic[M]):
    """Encodes and decodes the messages of these kinds; any other is an error."""

    def __init__(self, version: int, *kinds: type[M]) -> None:
        self._version = version
        self._kinds: dict[str, type[M]] = {kind.__name__: kind for kind in kinds}
        self._declared: dict[str, dict[str, type]] = {kind.__name__: get_type_hints(kind) for kind in kinds}

    def encode(self, message: M) -> bytes:
        """The message's bytes; texts are cut to MAX_TEXT_BYTES, keeping their end."""
        name = type(message).__name__
        fields = {field: _fit(getattr(message, field)) for field in self._declared[name]}
        return bytes([self._version]) + msgpack.packb({"kind": name, **fields}, use_bin_type=True)

    def decode(self, data: bytes) -> M:
        """The message in `data`; raises MessageError for anything that `encode` does not write."""
        if len(data) > MAX_MESSAGE_BYTES:
            raise MessageError(f"message of {len(data)} bytes, at most {MAX_MESSAGE_BYTES}")
        if not data or data[0] != self._version:
            raise MessageError(f"message version {data[0] if data else 'missing'}, this program has {self._version}")
        fields = _unpack(data[1:])
        name = fields.pop("kind", None) if isinstance(fields, dict) else None
        kind = self._kinds.get(name) if isinstance(name, str) else None
        if name is None or kind is None:
            raise MessageError(f"unknown message kind; known: {', '.join(self._kinds)}")
        declared = self._declared[name]
        if fields.keys() != declared.keys():
            raise MessageError(f"{name}: fields {sorted(map(str, fields))}, expected {sorted(declared)}")
        for field, value in fields.items():
            if type(value) is not declared[field]:
                raise MessageError(f"{name}.{field}: {type(value).__name__}, expected {declared[field].__name__}")
        return kind(**fields)


Message = Hello | Welcome | Ready | Failed | SaveCheckpoint | CheckpointSaved | NotSaved | Evaluated | RunEnded | Note
_CODEC: Codec[Message] = Codec(WIRE_VERSION, *get_args(Message))
encode, decode = _CODEC.encode, _CODEC.decode


def _fit(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace")[-MAX_TEXT_BYTES:].decode(errors="ignore")
    return value


def _unpack(body: bytes) -> dict[str, Any]:
    try:
        return msgpack.unpackb(
            body,
            raw=False,
            strict_map_key=True,
            object_pairs_hook=_unique,
            ext_hook=_no_extensions,
            max_map_len=_MAX_FIELDS,
            max_array_len=0,
            max_ext_len=0,
        )
    except MessageError:
        raise
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise MessageError(f"message is no valid MessagePack map: {error}") from None


def _unique(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MessageError("message has a duplicate key")
    if any(isinstance(value, dict) for value in fields.values()):
        raise MessageError("message has a nested map")
    return fields


def _no_extensions(code: int, data: bytes) -> None:
    raise MessageError(f"message has an extension type {code}")
