"""The page of verbs: it is what the parsers declare."""

import argparse
from pathlib import Path

import pytest

from mzpipe.cli import verbs_page
from mzpipe.cli.main import VERBS, module_of

PAGE = Path(__file__).parents[2] / "docs" / "verbs.md"


def test_page_is_what_the_parsers_declare():
    message = "run: python -m mzpipe.cli.verbs_page > docs/verbs.md"
    assert PAGE.read_text() == verbs_page.page(), message


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_says_what_it_is(verb):
    parser = argparse.ArgumentParser(add_help=False)
    module_of(verb).add_arguments(parser)
    assert [action.dest for action in parser._actions if not action.help] == []
