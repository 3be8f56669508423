"""Every writer of the package at every call that it makes to a disk that is full, over its quota or read-only."""

import ast
from pathlib import Path

import pytest

import mzpipe
from tests.full_disk import writers
from tests.full_disk.refusals import NAMES, PLANTED, held, refuse_every_call
from tests.stand_in_gpu.build import compiler

PACKAGE = Path(mzpipe.__file__).parent
# Modules that write nothing that outlives a process, or that only pass names on.
OTHERS = {
    "cluster/keeper.py": "temporary files of a pod's node: a fault is told to the run's machine",
    "cluster/gateway.py": "a file in shared memory",
    "cluster/readings.py": "files of a measurement, in shared memory",
    "cluster/uplink.py": "a file in shared memory",
    "ipc/dataplane.py": "shared memory",
    "ipc/segment.py": "shared memory",
    "launch/placer.py": "a log: on a full disk what Ray prints is lost",
    "launch/placing.py": "a log in shared memory",
    "launch/program.py": "a log in shared memory",
    "launch/rehearsal.py": "files in shared memory",
    "loggers/process.py": "a log in shared memory",
    "measure/ceilings/program.py": "files of one command, in shared memory",
    "runs/initial.py": "a file in shared memory",
    "runtime/environment.py": "the kernels' cache directory, when a command starts",
    "runtime/process.py": "a pipe in shared memory",
    "sweep/slurm.py": "files of a job, which runs on another machine: if they cannot be written, the cluster says so",
}
CALLS = {".write_bytes", ".write_text", ".mkdir", ".makedirs", ".mkfifo", ".rename", ".pwrite", ".ftruncate"}
CALLS |= {"replace_file", "replacing", ".savez", ".savez_compressed", "write_all", "open for writing"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What was found of each writer; all run in one process."""
    if compiler() is None:
        pytest.skip("no compiler")
    return refuse_every_call(tmp_path_factory.mktemp("full_disk"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_writer_leaves_the_former_or_the_new_contents_and_writes_again_when_the_disk_refuses(results, name):
    assert results[name]["faults"] == []
    assert held(results[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_writer_with_a_planted_fault_would_be_found(results, name):
    assert results[name]["faults"]


def calls_in(path):
    """The names of all functions that a module calls, `open` only if it is for writing."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = f".{node.func.attr}" if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        modes = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
        if name in ("open", ".open") and any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes):
            name = "open for writing"
        yield name


def test_every_module_that_writes_files_has_its_writers_here():
    writing = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if CALLS & set(calls_in(path))}
    listed = {*writers.WRITERS, *OTHERS}
    assert sorted(name for name in writing if not any(name.startswith(each) for each in listed)) == []
