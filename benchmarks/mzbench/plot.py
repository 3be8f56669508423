"""Draws panels in a row, as a PNG."""

from pathlib import Path
from typing import Any

from mzpipe.errors import InputOutputError, UsageError

from .report import Panel

_PANEL_INCHES, _HEIGHT_INCHES, _DPI = 5.2, 5.4, 120
_MARKERS = "osD^vPX*"


def require_matplotlib() -> None:
    """Raises UsageError if matplotlib is not installed; called before minutes are spent on measuring."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("--plot needs matplotlib: pip install -e '.[bench]' -c constraints.txt") from None


def draw(panels: list[Panel], title: str, path: Path) -> None:
    """Draws the panels, a line per contestant, and writes the PNG; raises UsageError if there is no panel."""
    if not panels:
        raise UsageError(f"--plot {path}: this case has no picture: leave --plot out")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_PANEL_INCHES * len(panels), _HEIGHT_INCHES), dpi=_DPI, layout="constrained")
    styles: dict[str, dict[str, str]] = {}
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, panel in zip(row, panels, strict=True):
        _draw_panel(axes, panel, styles)
    row[0].set_ylabel(panels[0].y_label)
    figure.suptitle(title, fontsize="medium")
    _add_legend(figure, row)
    try:
        figure.savefig(path, format="png")
    except OSError as error:
        raise InputOutputError(f"--plot {path}: cannot be written: {error.strerror}") from None


def _draw_panel(axes: Any, panel: Panel, styles: dict[str, dict[str, str]]) -> None:
    axes.set(xscale="log", yscale="log", title=panel.title, xlabel=panel.x_label)
    axes.title.set_fontsize("medium")
    axes.grid(which="major", alpha=0.4)
    axes.grid(which="minor", axis="y", alpha=0.15)
    for name, points in panel.lines.items():
        axes.plot(*zip(*points, strict=True), label=name, **_style(name, styles))
    places = sorted({x for points in panel.lines.values() for x, _ in points})
    axes.set_xticks(places, [f"{x:g}" for x in places])
    axes.set_xticks([], minor=True)


def _style(name: str, styles: dict[str, dict[str, str]]) -> dict[str, str]:
    """A contestant's colour and marker, the same in every panel."""
    return styles.setdefault(name, {"color": f"C{len(styles)}", "marker": _MARKERS[len(styles) % len(_MARKERS)]})


def _add_legend(figure: Any, row: Any) -> None:
    """One legend for all panels, below them."""
    handles = {name: handle for axes in row for handle, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles), frameon=False)
