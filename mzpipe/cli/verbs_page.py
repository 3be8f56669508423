"""The page of verbs: `python -m mzpipe.cli.verbs_page > docs/verbs.md` writes it from the command line's parsers."""

import argparse
import sys

from ..format import markdown_table
from .main import VERBS, module_of

_PAGE = """\
# Verbs

Written by `python -m mzpipe.cli.verbs_page > docs/verbs.md`, from the declarations in `mzpipe/cli`. In a clone the
command is `bin/mzpipe`, in an environment that has mzpipe `mzpipe`. `mzpipe VERB --help` prints the same.

{summary}

{verbs}
"""


def page() -> str:
    """The whole page, in Markdown."""
    summary = markdown_table(("verb", "what it does"), [(f"[`{name}`](#{name})", text) for name, text in VERBS.items()])
    return _PAGE.format(summary=summary, verbs="\n\n".join(map(_verb, VERBS)))


def _verb(name: str) -> str:
    parser = argparse.ArgumentParser(add_help=False)
    module_of(name).add_arguments(parser)
    actions = parser._actions
    words = [_usage(action) for action in actions if not action.option_strings]
    words += ["[options]"] if len(words) < len(actions) else []
    parts = [
        f"## {name}",
        f"{VERBS[name][0].upper()}{VERBS[name][1:]}.",
        f"```\n{' '.join(['mzpipe', name, *words])}\n```",
    ]
    if actions:
        parts.append(markdown_table(("argument", "what it is"), map(_row, actions)))
    return "\n\n".join(parts)


def _row(action: argparse.Action) -> tuple[str, str]:
    values = _usage(action) if action.nargs != 0 else ""
    names = ", ".join(f"`{' '.join(filter(None, [name, values]))}`" for name in action.option_strings or [""])
    text = [(action.help or "") % vars(action)]
    if action.choices is not None:
        text.append(f"one of {', '.join(f'`{choice}`' for choice in action.choices)}")
    return names, "; ".join(filter(None, text))


def _usage(action: argparse.Action) -> str:
    """An argument's values as a user types them."""
    name = action.metavar or (action.dest.upper().replace("_", "-"))
    if isinstance(name, tuple):
        return " ".join(name)
    return {"?": f"[{name}]", "*": f"[{name} ...]", "+": f"{name} [{name} ...]"}.get(str(action.nargs), name)


if __name__ == "__main__":
    sys.stdout.write(page())
