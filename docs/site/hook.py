"""Hook of mkdocs: makes the site of the repository's pages as they are, so that no text has a second copy.

The README becomes the first two pages. What lies outside docs/ and is linked to by a page becomes a page under
repository/, code as well, and anything else a file to download; a folder becomes a list of its files.
"""

import logging
import posixpath
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
INDEX, START = "index.md", "start.md"
# The README's sections that make the second page, and those that the navigation replaces; the others make the first.
ON_START = ("Install and start", "Train", "A run directory", "In your own script")
LEFT_OUT = ("Documentation", "Working on mzpipe")
REPOSITORY = "repository/"
RECORDS = ("results/", "decisions/", REPOSITORY)
# Files that are shown as code, with the name of their language.
CODE = {".py": "python", ".toml": "toml", ".cfg": "ini", "": "text"}

_LINK = re.compile(r"(?<=\]\()([^()\s#:]+)(#[^()\s]*)?(?=\))")
_FENCE = re.compile(r" *(```|~~~)")
# Only the number 1 begins a list within a paragraph.
_ITEM = re.compile(r"( *)([-*+]|1\.) ")
_log = logging.getLogger("mkdocs.mzpipe")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that docs/ does not have, and puts names for the patterns of the navigation."""
    wanted = [
        INDEX,
        START,
        *(name for name in _names(config.nav) if not files.get_file_from_path(name) and "*" not in name),
    ]
    wanted += [name for page in files.documentation_pages() for name in _linked(page.src_uri, page.content_string)]
    while wanted:
        name = wanted.pop()
        if files.get_file_from_path(name) is None and (file := _made(name, config)) is not None:
            files.append(file)
            if file.is_documentation_page():
                wanted += _linked(name, file.content_string)
    named = {name for name in _names(config.nav) if "*" not in name}
    pages = sorted(page.src_uri for page in files.documentation_pages() if page.src_uri not in named)
    config.nav = list(_expanded(config.nav, pages))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads the page's links to where their targets are in the site; puts records after explanations in searches."""
    name = page.file.src_uri
    if name.startswith(RECORDS):
        page.meta["search"] = {"boost": 0.2}
    for line in _misread(markdown):
        _log.warning(
            f"{_origin(name)}: a list begins after an empty line, and four spaces more than its parent: {line}"
        )

    def here(link: re.Match[str]) -> str:
        place = _place(name, link)
        return link[0] if place is None else posixpath.relpath(place, posixpath.dirname(name)) + (link[2] or "")

    return _LINK.sub(here, markdown)


def _names(nav: Iterable) -> Iterator[str]:
    """All names and patterns in the navigation."""
    for entry in nav:
        if isinstance(entry, str):
            yield entry
        else:
            for entries in entry.values():
                yield from _names(entries)


def _expanded(nav: Iterable, pages: list[str]) -> Iterator:
    for entry in nav:
        if isinstance(entry, str):
            yield from [page for page in pages if fnmatch(page, entry)] if "*" in entry else [entry]
        else:
            ((title, entries),) = entry.items()
            if entries := list(_expanded(entries, pages)):
                yield {title: entries}


def _origin(name: str) -> str:
    """Where the repository has, or would have, the text of a page."""
    if name in (INDEX, START):
        return "README.md"
    return name.removeprefix(REPOSITORY) if name.startswith(REPOSITORY) else f"docs/{name}"


def _linked(name: str, text: str) -> list[str]:
    return [place for link in _LINK.finditer(text) if (place := _place(name, link)) is not None]


def _place(name: str, link: re.Match[str]) -> str | None:
    """The site's name of what a page links to; None if the repository has no such file."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(_origin(name)), link[1]))
    path = ROOT / target
    if target.startswith("..") or not path.exists():
        return None
    if target == "README.md":
        return _page_of_section((link[2] or "").removeprefix("#"))
    if path.is_dir():
        target += "/README.md"
    elif path.suffix in CODE and not target.startswith("docs/"):
        target += ".md"
    return target.removeprefix("docs/") if target.startswith("docs/") else REPOSITORY + target


def _page_of_section(anchor: str) -> str:
    return START if anchor in [title.lower().replace(" ", "-") for title in ON_START] else INDEX


def _made(name: str, config: MkDocsConfig) -> File | None:
    """The page or file of this name; None if nothing can be made of that."""
    if name in (INDEX, START):
        return File.generated(config, name, content=_of_readme(name))
    path = ROOT / _origin(name)
    if path.is_file():
        return File.generated(config, name, abs_src_path=str(path))
    if path.name == "README.md" and path.parent.is_dir():
        return File.generated(config, name, content=_list_of(path.parent))
    if path.with_suffix("").is_file():
        return File.generated(config, name, content=_code_of(path.with_suffix("")))
    return None


def _of_readme(name: str) -> str:
    """The README's title and sections that belong to the first page, or to the second."""
    head, *sections = re.split(r"^## ", (ROOT / "README.md").read_text(), flags=re.MULTILINE)
    by_title = {section.partition("\n")[0]: f"## {section}" for section in sections}
    if missing := {*ON_START, *LEFT_OUT} - set(by_title):
        _log.warning(f"README.md has no section {', '.join(sorted(missing))}: docs/site/hook.py names it")
    if name == START:
        return "\n".join(["# Install and train\n", *(by_title.get(title, "") for title in ON_START)])
    return "\n".join([head, *(text for title, text in by_title.items() if title not in (*ON_START, *LEFT_OUT))])


def _list_of(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    title = folder.name.capitalize() if folder.is_relative_to(ROOT / "docs") else f"{folder.relative_to(ROOT)}/"
    return "\n".join([f"# {title}\n", *(f"- [{_title(folder / name)}]({name})" for name in names)])


def _title(path: Path) -> str:
    return path.read_text().partition("\n")[0].removeprefix("# ") if path.suffix == ".md" else path.name


def _code_of(path: Path) -> str:
    return f"# {path.relative_to(ROOT)}\n\n````{CODE[path.suffix]}\n{path.read_text().rstrip()}\n````\n"


def _misread(markdown: str) -> Iterator[str]:
    """Lines that begin a list for code hosts, but not for Python-Markdown."""
    fenced, before = False, ""
    for line in markdown.splitlines():
        fenced ^= _FENCE.match(line) is not None
        if not fenced and (item := _ITEM.match(line)):
            is_inside = before.startswith(" ") or _ITEM.match(before)
            if len(item[1]) % 4 or (before and not before.startswith("#") and not is_inside):
                yield line
        before = line
