"""The environment of every test, and fixtures for tests that share memory between processes or look at pages."""

import getpass
import os
import shutil
import signal
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numba
import pytest
from hypothesis import Phase, settings

from mzpipe.runtime.environment import prepare_environment
from tests.stand_in_gpu.runner import begin_test, note_outcome, send_to_stand_in

# Numba checks a cached kernel against its own file only, so the cache of the runs is named after all sources. A plugin
# may have loaded Numba already; then Numba has also read the environment.
prepare_environment()
numba.config.CACHE_DIR = os.environ["NUMBA_CACHE_DIR"]
# Every run draws the same examples, however slow the machine; `--hypothesis-profile default` draws new ones.
settings.register_profile("mzpipe", deadline=None, derandomize=True)
settings.load_profile("mzpipe")
# Where only the name of a failing test counts, its example need not be small: `tests.planted` takes this profile.
settings.register_profile("unshrunk", settings.get_profile("mzpipe"), phases=(Phase.explicit, Phase.generate))
# Tests interrupt themselves, also where a shell has started them in the background, which ignores interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Output has its default width, whatever COLUMNS the caller has set.
os.environ.pop("COLUMNS", None)

# The tests here start and kill runs in /dev/shm, and look at all of it: one worker has them all, one at a time.
RUNS = "runs"
GUARDED = ("tests/pipeline/", "tests/launch/", "tests/test_leftovers.py", "tests/mzbench/test_learner.py")
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def group_of(nodeid):
    """The tests that one worker has together: a module's, whose fixtures are then made once, or all guarded ones."""
    module = nodeid.partition("::")[0]
    return RUNS if module.startswith(GUARDED) else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Shares the tests by group. (The scheduler of xdist 3.8 for groups does not see them under pytest 9.2.)"""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid)

    return ByGroup(config, log)


def pytest_collection_modifyitems(config, items):
    """Refuses a guarded test outside the group; lets the runs, which take longest, come first in a worker."""
    for item in items:
        if "nothing_left" in item.fixturenames and group_of(item.nodeid) != RUNS:
            raise pytest.UsageError(
                f"{item.nodeid} takes nothing_left, so its module belongs to GUARDED in conftest.py"
            )
    send_to_stand_in(items)
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: group_of(item.nodeid) != RUNS)


def pytest_runtest_setup(item):
    begin_test()


def pytest_runtest_logreport(report):
    note_outcome(report)


@pytest.fixture
def nothing_left():
    """Guards /dev/shm and the temporary folder; the tests that it guards run one at a time."""
    from tests.leftovers import runtime_directories, unexplained

    before = runtime_directories()
    yield
    assert unexplained(before) == set()


@pytest.fixture(scope="session", autouse=True)
def own_temporary_folder(tmp_path_factory):
    """Gives the tests of each worker, and their children, a folder for temporary files, which no other worker's sweep
    looks into."""
    tmp_path_factory.getbasetemp()  # pytest's own folder stays where it is, and so do compiled graphs
    compiled = os.environ.get("TORCHINDUCTOR_CACHE_DIR", f"{tempfile.gettempdir()}/torchinductor_{getpass.getuser()}")
    # Sockets lie in it: a short name.
    with tempfile.TemporaryDirectory(prefix="mzt-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setenv("TORCHINDUCTOR_CACHE_DIR", compiled)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session")
def other_shared_memory(tmp_path_factory):
    """Stands for /dev/shm in the tests that are not guarded."""
    return tmp_path_factory.mktemp("shm")


@pytest.fixture(autouse=True)
def no_sweep_of_other_runs(request, monkeypatch):
    """Keeps unguarded tests, which run at the same time, from sweeping what the guarded ones kill."""
    directory = sys.modules.get("mzpipe.runs.directory")
    if directory is not None and "nothing_left" not in request.fixturenames:
        monkeypatch.setattr(directory, "SHARED_MEMORY", request.getfixturevalue("other_shared_memory"))


@pytest.fixture
def default_signals():
    """Handles HUP and QUIT as a terminal's programs do, in children too, however the tests were started."""
    former = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGQUIT)}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.fixture
def shm_path():
    """A private directory under /dev/shm, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="mzpipe-test-", dir="/dev/shm"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def browser():
    """Headless Chromium; skips if there is none, unless MZPIPE_BROWSER names one, as CI does: then it must be there."""
    named = os.environ.get("MZPIPE_BROWSER")
    path = next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)
    missing = "" if find_spec("playwright") else "the package playwright (extra `dev`)"
    if path is None:
        missing = named or f"one of {', '.join(BROWSERS)}"
    if missing and named:
        pytest.fail(f"MZPIPE_BROWSER={named}: install {missing}, or unset the variable to skip these tests")
    if missing:
        pytest.skip(f"to look at pages in a browser, install {missing}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a page's text or file, `width` pixels wide, "light" or "dark"; collects what it requests and logs."""
    opened = []

    def open_text(text, width, scheme):
        path = text if isinstance(text, Path) else tmp_path / "page.html"
        if path is not text:
            path.write_text(text)
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.requests, page.logged = [], []
        page.on("request", lambda request: page.requests.append(request.url))
        page.on("console", lambda message: page.logged.append(message.text))
        page.on("pageerror", lambda error: page.logged.append(str(error)))
        page.goto(path.as_uri())
        opened.append(page)
        return page

    yield open_text
    for page in opened:
        page.close()


@pytest.fixture
def shared_memory(tmp_path, monkeypatch):
    """A directory in place of /dev/shm, so that no other run on this machine meets these."""
    from mzpipe.runs import directory  # an import at the top would load torch before the environment is prepared

    path = tmp_path / "shm"
    path.mkdir()
    monkeypatch.setattr(directory, "SHARED_MEMORY", path)
    return path


@pytest.fixture
def profile():
    from tests.tiny import tiny_profile

    return tiny_profile()


@pytest.fixture
def plane(tmp_path, profile):
    from tests.tiny import make_plane

    (tmp_path / "plane").mkdir()
    return make_plane(tmp_path / "plane", profile)
