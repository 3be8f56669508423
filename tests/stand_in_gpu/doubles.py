"""Doubles of torch.cuda over the stand-in's library; it is loaded into processes that have MZPIPE_STAND_IN_GPU set."""

import contextlib
import ctypes
import itertools
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

SETTINGS = json.loads(os.environ.get("MZPIPE_STAND_IN_GPU") or "{}")
_TORCH_LIBRARIES = ("torch_global_deps", "c10", "torch_cpu", "torch", "torch_python")
_UNLIMITED = 1 << 62


def load_library(torch_directory):
    """Loads torch's libraries and the stand-in, which must be there before torch looks for devices."""
    for name in _TORCH_LIBRARIES:
        ctypes.CDLL(f"{torch_directory}/lib/lib{name}.so", mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(SETTINGS["library"], mode=ctypes.RTLD_GLOBAL)


def install():
    """Puts the doubles into torch, which has just been imported."""
    import torch
    import torch.cuda.amp.common

    device = torch.ops.stand_in_gpu
    report = SETTINGS.get("report")
    path = str(Path(report) / f"{os.getpid()}-{_name_of_process()}") if report else ""
    device.set_up(SETTINGS["gpus"], SETTINGS["bytes"] or _UNLIMITED, path)
    device.set_patience(SETTINGS["patience"])

    def place(name=None):
        """A device by name or number, with its index."""
        found = torch.device("cuda", name) if isinstance(name, int) else torch.device(name or "cuda")
        return found if found.index is not None else torch.device("cuda", device.current_device())

    class Stream(torch.Stream):
        def __new__(cls, device=None, priority=0, **known):
            return super().__new__(cls, **known) if known else super().__new__(cls, place(device), priority=priority)

        @property
        def cuda_stream(self):
            return self.stream_id

        def record_event(self, event=None):
            event = event or Event()
            event.record(self)
            return event

        def wait_event(self, event):
            event.wait(self)

        def wait_stream(self, other):
            self.wait_event(other.record_event())

    class Event(torch.Event):
        def __new__(cls, enable_timing=False, blocking=False, interprocess=False):
            return super().__new__(cls, place(), enable_timing=enable_timing, blocking=blocking)

        def record(self, stream=None):
            super().record(stream or current_stream())

        def wait(self, stream=None):
            super().wait(stream or current_stream())

        def elapsed_time(self, end_event):
            return device.elapsed(self.event_id, end_event.event_id)

    def known_stream(name, number):
        return Stream(stream_id=number, device_index=place(name).index, device_type=1)

    def default_stream(name=None):
        return known_stream(name, 0)

    def current_stream(name=None):
        return known_stream(name, device.current_stream(place(name).index))

    def set_stream(stream):
        torch._C._accelerator_setStream(stream)

    class InStream:
        """torch.cuda.stream, whose exit restores the stream and the device."""

        def __init__(self, stream):
            self.stream = stream

        def __enter__(self):
            if self.stream is not None:
                self.device, self.before = device.current_device(), current_stream(self.stream.device)
                set_stream(self.stream)

        def __exit__(self, *error):
            if self.stream is not None:
                set_stream(self.before)
                device.set_device(self.device)

    class OnDevice:
        """torch.cuda.device."""

        def __init__(self, name):
            self.index = None if name is None else place(name).index

        def __enter__(self):
            self.before = device.current_device()
            if self.index is not None:
                device.set_device(self.index)

        def __exit__(self, *error):
            device.set_device(self.before)

    new_number = itertools.count(1)

    class CUDAGraph:
        """torch.cuda.CUDAGraph; see device/graph.h for what it refuses."""

        def __init__(self, keep_graph=False):
            self._number, self._pool = next(new_number), None

        def capture_begin(self, pool=None, capture_error_mode="global", check_input_liveness=False):
            self._pool, self._random = pool or graph_pool_handle(), torch.get_rng_state()
            device.capture(self._number, self._pool[1], capture_error_mode != "relaxed")

        def capture_end(self):
            torch.set_rng_state(self._random)  # a capture draws nothing
            device.end_capture(self._number)

        def instantiate(self):
            pass

        def replay(self):
            device.replay(self._number)

        def reset(self):
            device.drop_graph(self._number)

        def pool(self):
            return self._pool

        @property
        def num_nodes(self):
            """The number of kernels and copies in it (only the stand-in has this)."""
            return device.nodes(self._number)

        def __del__(self):
            with contextlib.suppress(Exception):
                self.reset()

    def graph_pool_handle():
        return (0, next(new_number))

    class Runtime:
        """torch.cuda.cudart()."""

        cudaError = SimpleNamespace(success=0)

        @staticmethod
        def cudaHostRegister(start, size, flags):
            return device.register(start, size)

        @staticmethod
        def cudaHostUnregister(start):
            return device.unregister(start)

        @staticmethod
        def cudaGetErrorString(code):
            return f"CUDA error {int(code)}"

    def memory(name, part):
        return device.memory_of(place(name).index)[part]

    def capability(name=None):
        return (9, 0) if SETTINGS["bfloat16"] else (7, 5)

    def properties(name=None):
        major, minor = capability()
        total = memory(name, 2)
        return SimpleNamespace(
            name="stand-in GPU", major=major, minor=minor, total_memory=total, multi_processor_count=1
        )

    def free_and_total(name=None):
        in_use, _, total = device.memory_of(place(name).index)
        return total - in_use, total

    def storage_clone(storage):
        if storage.device.type != "cuda":
            return cloned(storage)
        view = torch.empty(0, dtype=torch.uint8, device=storage.device)
        return view.set_(storage, 0, (storage.nbytes(),), (1,)).clone().untyped_storage()

    cloned, torch.UntypedStorage.clone = torch.UntypedStorage.clone, storage_clone
    torch.cuda.amp.common.amp_definitely_not_available = lambda: False
    doubles = {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "init": lambda: None,
        "_lazy_init": lambda: None,
        "device_count": lambda: SETTINGS["gpus"],
        "current_device": device.current_device,
        "set_device": lambda name: device.set_device(place(name).index),
        "device": OnDevice,
        "Stream": Stream,
        "Event": Event,
        "stream": InStream,
        "StreamContext": InStream,
        "set_stream": set_stream,
        "current_stream": current_stream,
        "default_stream": default_stream,
        "synchronize": lambda name=None: torch._C._accelerator_synchronizeDevice(place(name).index),
        "cudart": Runtime,
        "is_bf16_supported": lambda including_emulation=True: including_emulation or SETTINGS["bfloat16"],
        "get_device_capability": capability,
        "get_device_name": lambda name=None: properties(name).name,
        "get_device_properties": properties,
        "mem_get_info": free_and_total,
        "memory_allocated": lambda name=None: memory(name, 0),
        "memory_reserved": lambda name=None: memory(name, 0),
        "max_memory_allocated": lambda name=None: memory(name, 1),
        "max_memory_reserved": lambda name=None: memory(name, 1),
        "reset_peak_memory_stats": lambda name=None: device.forget_peak(place(name).index),
        "empty_cache": lambda: None,
        "manual_seed": lambda seed: None,
        "manual_seed_all": lambda seed: None,
        # Its kernels draw from the CPU's generator.
        "get_rng_state": lambda name=None: torch.get_rng_state(),
        "set_rng_state": lambda state, name=None: torch.set_rng_state(state),
        "CUDAGraph": CUDAGraph,
        "graph_pool_handle": graph_pool_handle,
        "is_current_stream_capturing": device.is_capturing,
    }
    for name, double in doubles.items():
        setattr(torch.cuda, name, double)
    for module, names in {
        torch.cuda.graphs: ("CUDAGraph", "graph_pool_handle", "is_current_stream_capturing"),
        torch.cuda.streams: ("Stream", "Event"),
    }.items():
        for name in names:
            setattr(module, name, doubles[name])
    torch.cuda.graphs._cuda_isCurrentStreamCapturing = torch._C._cuda_isCurrentStreamCapturing = device.is_capturing
    torch._C._host_emptyCache = lambda: None


def _name_of_process():
    """The role and index of one of a run's processes; otherwise the module that it runs."""
    words = sys.orig_argv
    module = words[words.index("-m") + 1 :] if "-m" in words else ["python"]
    return "-".join(module[1:3]) if module[0] == "mzpipe.launch.join" else module[0]
