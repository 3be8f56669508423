"""The page of settings: `python -m mzpipe.config.settings_page > docs/settings.md` writes it from the declarations."""

import sys

from ..format import markdown_table
from .describe import Section, Setting, sections

_PAGE = """\
# Settings

Written by `python -m mzpipe.config.settings_page > docs/settings.md`, from the declarations in `mzpipe/config`. A
profile names only what differs from these defaults; `--set section.field=value` overrides one setting.
`mzpipe config SECTION.FIELD` explains one and says which shipped profiles set it, `mzpipe config --diff A B` shows
where two profiles differ.

Editors complete and check a profile if its first line is `#:schema PATH/profile.schema.json`, the file beside this page
(`mzpipe config --schema` writes it, too).

{sections}
"""


def page() -> str:
    """The whole page, in Markdown."""
    return _PAGE.format(sections="\n\n".join(map(_section, sections())))


def _section(section: Section) -> str:
    heading = f"## [{section.name}]\n\n{section.description}" if section.name else "## Outside all sections"
    heads = "setting", "default", "may be", "what it does"
    return f"{heading}\n\n{markdown_table(heads, map(_row, section.settings))}"


def _row(setting: Setting) -> tuple[str, ...]:
    default = f"`{setting.default}`" if setting.default else "none"
    return f"`{setting.name.rpartition('.')[2]}`", default, setting.kind, setting.description


if __name__ == "__main__":
    sys.stdout.write(page())
