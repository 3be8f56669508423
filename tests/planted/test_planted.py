"""The list of planted bugs fits the sources and tests of now. `python -m tests.planted` plants them."""

import pytest

from tests.planted.bug import ROOT
from tests.planted.bugs import BUGS
from tests.planted.copies import importers


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_changes_one_place_and_compiles(bug):
    compile(bug.planted((ROOT / "mzpipe" / bug.file).read_text()), bug.file, "exec")


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bug_names_modules_that_exist_and_a_claim(bug):
    assert bug.modules and all((ROOT / path).is_file() for path in bug.paths())
    assert bug.claim.endswith(".")


def test_bugs_have_names_of_their_own():
    assert len({bug.name for bug in BUGS}) == len(BUGS)


def test_importers_include_those_by_way_of_others():
    # targets/n_step.py <- targets/unroll.py <- replay/gather.py, whose kernels hold code of all three
    found = importers(ROOT / "mzpipe", "targets/n_step.py")
    assert {"mzpipe/targets/n_step.py", "mzpipe/targets/unroll.py", "mzpipe/replay/gather.py"} <= found
    assert "mzpipe/ipc/ring.py" not in found
