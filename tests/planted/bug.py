"""A planted bug as data, and where its text stands."""

from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Bug(NamedTuple):
    """One mistake: `old` stands exactly once in `file` and becomes `new`; one of the modules' tests should fail."""

    name: str
    # Under mzpipe/.
    file: str
    old: str
    new: str
    # What no longer holds with the bug.
    claim: str
    # Under tests/, without .py; the likeliest first.
    modules: tuple[str, ...]

    def planted(self, text: str) -> str:
        """The file's text with the bug; raises ValueError if it would not change exactly one place."""
        found = text.count(self.old)
        if found != 1 or self.old == self.new:
            raise ValueError(f"{self.name}: the old text stands {found} times in mzpipe/{self.file}, not once")
        return text.replace(self.old, self.new)

    def paths(self) -> list[str]:
        """The modules as files under the project."""
        return [f"tests/{module}.py" for module in self.modules]
