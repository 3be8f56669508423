"""The page of the Python API: it is what the code says of itself, and the code says something of every name."""

import re
from pathlib import Path

import mzpipe
import mzpipe.search
import mzpipe.trained
from mzpipe import python_page

PAGE = Path(__file__).parents[1] / "docs" / "python.md"


def test_page_is_what_the_code_says():
    message = "run: python -m mzpipe.python_page > docs/python.md"
    assert PAGE.read_text() == python_page.page(), message


def test_page_has_every_exported_name():
    named = set(re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE))
    exported = {*mzpipe.__all__, *mzpipe.trained.__all__, *mzpipe.search.__all__}
    assert exported - {"__version__"} <= named


def test_every_name_on_the_page_has_a_meaning():
    text = PAGE.read_text()
    assert re.findall(r"^\| (`\w+`) \|.*\|  \|$", text, re.MULTILINE) == []
    assert re.findall(r"^(#### .*)\n\n```python\n[^`]*```\n\n(?=#)", text, re.MULTILINE) == []
