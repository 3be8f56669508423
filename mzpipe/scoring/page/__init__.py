"""Page: a report as one self-contained HTML file: no script, no request, light and dark.

curves     return over env steps, a card per game      aggregates   values and intervals, a card each
render     all of it through page.html, which takes in charts.html and page.css; the rest is mzpipe.pages'
"""

from ...trained.scores.page import render_page

__all__ = ["render_page"]
