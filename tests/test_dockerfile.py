"""The Dockerfile, where there is no Docker: it copies files that exist and suffice, and hadolint is content."""

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
LET_IN = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def copied():
    """The files and directories of the clone that the image is made of."""
    lines = [line.split()[1:-1] for line in TEXT.splitlines() if line.startswith("COPY")]
    bound = re.findall(r"type=bind,source=([^,]+)", TEXT)
    return [name for line in lines for name in line] + bound


def argument(name):
    return re.search(rf"^ARG {name}=(.+)$", TEXT, re.MULTILINE)[1]


def test_image_is_made_of_all_that_is_let_in_and_of_nothing_else():
    assert sorted(copied()) == sorted(LET_IN)
    assert [name for name in copied() if not (ROOT / name).exists()] == []


def test_image_has_extras_and_a_python_that_mzpipe_has():
    assert set(argument("EXTRAS").split(",")) <= set(SETUP["options.extras_require"])
    assert f"Programming Language :: Python :: {argument('PYTHON')}" in SETUP["metadata"]["classifiers"]


def test_image_runs_mzpipe_as_a_user_of_its_own():
    assert 'ENTRYPOINT ["mzpipe"]' in TEXT and "bin/mzpipe" in SETUP["options"]["scripts"].split()
    assert (
        TEXT.index("useradd --create-home --uid 1000 mzpipe") < TEXT.index("\nUSER 1000") < TEXT.index("\nENTRYPOINT")
    )


@pytest.mark.slow
def test_wheel_is_whole_when_it_is_made_of_what_the_image_copies(tmp_path):
    pytest.importorskip("setuptools")  # which a new environment of Python 3.12 lacks
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    build = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        str(tmp_path / "out"),
        str(tmp_path),
    ]
    done = subprocess.run(build, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (wheel,) = (tmp_path / "out").glob("mzpipe-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = [path for path in (ROOT / "mzpipe").rglob("*") if path.suffix in (".py", ".html", ".css", ".csv")]
    assert {str(path.relative_to(ROOT)) for path in wanted} <= held
    assert {f"mzpipe/profiles/{path.name}" for path in (ROOT / "profiles").glob("*.toml")} <= held


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("to lint the Dockerfile, install hadolint (extra `dev`)")
    done = subprocess.run([hadolint, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
