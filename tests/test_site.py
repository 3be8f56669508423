"""The docs site: built once, without a warning; whole, at home in a browser, and with nothing from elsewhere."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
WIDE, PHONE = 1280, 390
# Pages of every kind: of the README, written, generated, with curves, a list, code.
SEEN = (
    "index.html",
    "architecture.html",
    "settings.html",
    "verbs.html",
    "metrics.html",
    "python.html",
    "results/index.html",
    "repository/examples/treasure.py.html",
)
_LOADED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"?([^\"\s>]+)")
_LINK = re.compile(r"<a\b[^>]*?\bhref=\"([^\"#?]+)[\"#]")
_STYLE = re.compile(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site as `make docs` builds it."""
    path = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return path


def texts(site, kind):
    return [(path, path.read_text()) for path in sorted(site.rglob(f"*.{kind}"))]


def test_site_has_every_page_of_the_docs(site):
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    named = {page.with_name("index.html") if page.stem == "README" else page.with_suffix(".html") for page in pages}
    assert len(named) > 60
    assert [str(page) for page in sorted(named) if not (site / page).is_file()] == []


def test_site_loads_nothing_from_elsewhere(site):
    loaded = [(path.name, url) for path, text in texts(site, "html") for url in _LOADED.findall(text)]
    loaded += [(path.name, url) for path, text in texts(site, "css") for url in _STYLE.findall(text)]
    assert len(loaded) > 100
    assert [each for each in loaded if re.match(r"(https?:)?//", each[1])] == []
    # The theme would fetch mermaid for such a block.
    assert [path.name for path, text in texts(site, "html") if 'class="mermaid"' in text] == []


def test_every_link_within_the_site_leads_to_a_file(site):
    links = [
        (path, link) for path, text in texts(site, "html") if path.name != "404.html" for link in _LINK.findall(text)
    ]
    inside = [(path, link) for path, link in links if not re.match(r"\w+:", link)]
    assert len(inside) > 1000
    assert {(path.name, link) for path, link in inside if not (path.parent / link).exists()} == set()


def test_linked_files_outside_the_docs_are_pages(site):
    assert "class Treasure" in re.sub("<[^>]+>", "", (site / "repository/examples/treasure.py.html").read_text())
    assert (site / "repository/benchmarks/positions/connect_four.csv").is_file()


def test_build_refuses_links_that_lead_nowhere_and_lists_that_are_none(tmp_path, caplog):
    faults = {
        "[a](missing.md)": "contains a link 'missing.md'",
        "[a](#missing)": "contains a link '#missing'",
        "[a](/absolute.md)": "contains an absolute link '/absolute.md'",
        "words\n- no list": "a list begins after an empty line, and four spaces more than its parent: - no list",
        "- a\n  - no level": "a list begins after an empty line, and four spaces more than its parent:   - no level",
    }
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "page.md").write_text("\n\n".join(["# Page", *faults]))
    places = {"docs_dir": str(docs), "site_dir": str(tmp_path / "site"), "nav": ["page.md"]}
    with pytest.raises(Abort):
        build(load_config(str(ROOT / "mkdocs.yml"), **places))
    assert [fault for fault in faults.values() if fault not in caplog.text] == []


@pytest.mark.parametrize("name", SEEN)
def test_page_fits_and_complains_of_nothing(site, open_page, name):
    for width in (WIDE, PHONE):
        page = open_page(site / name, width, "light")
        assert page.title().endswith("mzpipe")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.logged == []
        assert [url for url in page.requests if not url.startswith("file://")] == []


def test_search_finds_a_setting_without_a_server(site, open_page):
    page = open_page(site / "index.html", WIDE, "dark")
    page.fill(".md-search__input", "samples_per_insert")
    page.wait_for_selector(".md-search-result__link")
    hrefs = page.eval_on_selector_all(".md-search-result__link", "links => links.map(link => link.href)")
    assert any("/settings.html" in href or "/replay.html" in href for href in hrefs)
    assert page.logged == []
