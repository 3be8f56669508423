"""The pages for people: their links lead somewhere, and their tables name what there is."""

import re
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
