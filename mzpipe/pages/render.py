"""Render: the environment of a page's templates; whatever is put into them is escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..telemetry.format import count, number, percent


def page_environment(folder: Path) -> Environment:
    """For templates in `folder`, which may extend base.html; a name that nothing was given for is an error."""
    environment = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": count, "number": number, "percent": percent}
    return environment
