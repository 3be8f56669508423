"""Numbers on the command line."""

import argparse
from collections.abc import Callable


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """An argument's type: a whole number within these bounds; argparse names what was given instead."""

    def parse(text: str) -> int:
        number = int(text)
        if number < least:
            raise argparse.ArgumentTypeError(f"{number} is not at least {least}")
        if most is not None and number > most:
            raise argparse.ArgumentTypeError(f"{number} is not at most {most}")
        return number

    parse.__name__ = "whole number"
    return parse
