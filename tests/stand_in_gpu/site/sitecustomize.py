"""Gives every Python process that imports torch the stand-in GPU, where MZPIPE_STAND_IN_GPU is set."""

import importlib.abc
import importlib.machinery
import os
import sys


class _Loader(importlib.abc.Loader):
    """Loads the library before torch asks for a device, and the doubles of torch.cuda after torch."""

    def __init__(self, inner):
        self._inner = inner

    def create_module(self, spec):
        return self._inner.create_module(spec)

    def exec_module(self, module):
        from tests.stand_in_gpu.doubles import install, load_library

        load_library(os.path.dirname(module.__spec__.origin))
        self._inner.exec_module(module)
        install()

    def __getattr__(self, name):
        return getattr(self._inner, name)


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name != "torch":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        spec.loader = _Loader(spec.loader)
        return spec


if os.environ.get("MZPIPE_STAND_IN_GPU"):
    sys.meta_path.insert(0, _Finder())
