"""The pages for people: their links lead somewhere, and their tables name what there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mzpipe.cli.main import VERBS
from mzpipe.version import __version__

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
HOMES = (ROOT, ROOT / "mzpipe", ROOT / "benchmarks", ROOT / "benchmarks/mzbench")
OWN_GAME = ROOT / "docs/tutorials/own-game.md"
PLACES = (ROOT / "docs/where-things-are.md").read_text()


def names_without_file(text, pattern):
    return [name for name in re.findall(pattern, text) if not any((home / name).is_file() for home in HOMES)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_local_links_lead_to_files(page):
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    missing = [name for name in targets if "://" not in name and not (page.parent / name).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_begins_with_its_title(page):
    assert page.read_text().startswith("# ")


def test_readme_has_every_verb_in_its_table():
    assert set(re.findall(r"^\|[^|]+\| `([\w-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)) == set(VERBS)


def test_where_things_are_has_a_line_for_every_package():
    packages = {path.parent.name for path in (ROOT / "mzpipe").glob("*/__init__.py")}
    named = set(re.findall(r"^\| `(\w+)` \|", PLACES, re.MULTILINE))
    assert named == packages | {"examples"}


def test_where_things_are_names_files_that_exist():
    assert names_without_file(PLACES, r"`([\w/]+\.py)`") == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_modules_that_exist(page):
    assert names_without_file(page.read_text(), r"(?<![\w/.-])((?:\w+/)+\w+\.py)\b") == []


def test_citation_names_this_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_own_game_of_the_tutorial_keeps_its_promises(tmp_path):
    game, profile = re.findall(r"^```(?:python|toml)\n(.*?)^```", OWN_GAME.read_text(), re.MULTILINE | re.DOTALL)[:2]
    (tmp_path / "catch.py").write_text(game)
    (tmp_path / "catch.toml").write_text(profile)
    command = [sys.executable, "-P", "-m", "mzpipe", "check-env", "catch.toml", "--allow-env-import"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
