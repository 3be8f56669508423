"""The keys of CurveZMQ by which a run and its pods know each other; every file has mode 0600, and no other is read.

RUN/cluster/head.json     the head's key pair, and the public key of each pod that may join
RUN/cluster/pod-N.json    all that pod N needs: the head's public key, and its own pair; copy it to the pod's machine
RUN/cluster/placed.json   public keys of pods that made their own, on the node where Ray has placed them

The keys stay those of the run directory, so that a pod's file is as good after the head has resumed.
"""

import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from ..config.cluster import MAX_PODS
from ..errors import InputOutputError, UsageError
from ..reading import read_json
from ..runs.files import FileOperations, PrivateFileOperations, file_errors, replace_file

KEYS = "cluster"
_HEAD, _PLACED = "head.json", "placed.json"
_MAX_KEY_BYTES = 1 << 15
_FORMAT = 1
# 32 bytes in Z85.
_Z85 = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class HeadKeys:
    """The head's key pair, and the public key of each pod, in the order of their numbers."""

    public: str
    secret: str
    pods: tuple[str, ...] = ()

    def __repr__(self) -> str:  # no secret reaches a log
        return f"HeadKeys({self.public}, {len(self.pods)} pods)"


@dataclass(frozen=True)
class PodKey:
    """What one pod needs to reach its head."""

    pod: int
    head_public: str
    public: str
    secret: str

    def __repr__(self) -> str:
        return f"PodKey(pod {self.pod}, {self.public})"


def new_head_keys() -> HeadKeys:
    """A new pair."""
    return HeadKeys(*_new_pair())


def new_pod_key(pod: int, head_public: str) -> PodKey:
    """A new pair for one pod of this head."""
    return PodKey(pod, head_public, *_new_pair())


def run_keys(run: Path, pods: int) -> HeadKeys:
    """The keys of a run directory, which has those of at least `pods` pods afterwards; raises InputOutputError.

    The pods' files are written before the head's, so that the head knows no pod whose file is missing.
    """
    directory = run / KEYS
    with file_errors("make", directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    head = read_head_keys(run) if (directory / _HEAD).exists() else new_head_keys()
    known = list(head.pods)
    for pod in range(len(known), pods):
        key = new_pod_key(pod, head.public)
        write_key(pod_key_path(run, pod), key)
        known.append(key.public)
    if len(known) > len(head.pods):
        head = HeadKeys(head.public, head.secret, tuple(known))
        fields = {"head": _FORMAT, "public": head.public, "secret": head.secret, "pods": known}
        _write(directory / _HEAD, fields, PrivateFileOperations())
    return head


def pod_key_path(run: Path, pod: int) -> Path:
    """The file of one pod's key in the head's run directory."""
    return run / KEYS / f"pod-{pod}.json"


def write_key(path: Path, key: PodKey) -> None:
    """Writes the file that a pod is started with; raises InputOutputError."""
    fields = {"pod": key.pod, "head_public": key.head_public, "public": key.public, "secret": key.secret}
    _write(path, {"key": _FORMAT, **fields}, PrivateFileOperations())


def read_key(path: Path) -> PodKey:
    """The key in a pod's file; raises UsageError if others may read it, or if it is no such file."""
    fields = _read(path, "a pod's key", {"key", "pod", "head_public", "public", "secret"})
    pod = fields["pod"]
    if fields["key"] != _FORMAT or type(pod) is not int or not 0 <= pod < MAX_PODS:
        raise UsageError(
            f"{path}: not a pod's key of this version of mzpipe: key={fields['key']!r:.40}, pod={pod!r:.40}"
        )
    return PodKey(pod, *(_checked(path, name, fields[name]) for name in ("head_public", "public", "secret")))


def read_head_keys(run: Path) -> HeadKeys:
    """The head's keys in its run directory; raises UsageError as read_key does."""
    path = run / KEYS / _HEAD
    fields = _read(path, "a head's keys", {"head", "public", "secret", "pods"})
    pods = fields["pods"]
    if fields["head"] != _FORMAT or not isinstance(pods, list) or len(pods) > MAX_PODS:
        raise UsageError(f"{path}: not a head's keys of this version of mzpipe: remove {path.parent} to make new ones")
    public, secret = (_checked(path, name, fields[name]) for name in ("public", "secret"))
    return HeadKeys(public, secret, tuple(_checked(path, "pods", each) for each in pods))


def write_placed(run: Path, keys: Mapping[int, str]) -> None:
    """Replaces the public keys of the pods that Ray has placed, by the pods' numbers; raises InputOutputError."""
    fields = {"placed": _FORMAT, "pods": {str(pod): public for pod, public in keys.items()}}
    _write(run / KEYS / _PLACED, fields, PrivateFileOperations())


def read_placed(run: Path) -> dict[int, str]:
    """The public keys of the pods that Ray has placed; none before the first. Raises UsageError as read_key does."""
    path = run / KEYS / _PLACED
    if not path.exists():
        return {}
    fields = _read(path, "keys of placed pods", {"placed", "pods"})
    pods = fields["pods"]
    if not isinstance(pods, dict) or not all(each.isdecimal() and int(each) < MAX_PODS for each in pods):
        raise UsageError(f"{path}: not keys of placed pods: remove it")
    return {int(pod): _checked(path, "pods", public) for pod, public in pods.items()}


def _new_pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _write(path: Path, fields: Mapping[str, Any], operations: FileOperations) -> None:
    with file_errors("write", path):
        replace_file(path, json.dumps(fields, indent=1).encode(), operations)


def _read(path: Path, what: str, names: set[str]) -> dict[str, Any]:
    try:
        status = path.stat()
        if status.st_mode & _OTHERS or status.st_uid not in (os.getuid(), 0):
            raise UsageError(
                f"{path}: others may read or change this key (mode {stat.S_IMODE(status.st_mode):04o}): chmod 600 it"
            )
        fields = read_json(path, _MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: {what} cannot be read: {error.strerror}") from None
    except InputOutputError as error:
        raise UsageError(f"{error}: not {what}") from None
    if not isinstance(fields, dict) or fields.keys() != names:
        raise UsageError(f"{path}: not {what}: it has other fields than {', '.join(sorted(names))}")
    return fields


def _checked(path: Path, name: str, value: Any) -> str:
    """A key's text; its value is not repeated, for it may be a secret."""
    if not isinstance(value, str) or not _Z85.fullmatch(value):
        raise UsageError(f"{path}: {name} is not a key of CurveZMQ (40 characters of Z85): copy the file again")
    return value
