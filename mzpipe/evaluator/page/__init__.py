"""Page: an inspection as one self-contained HTML file: no script, no request, light and dark.

tree       the most visited nodes as boxes and edges      line     the principal variation
forecast   what was foreseen and what came, as charts     images   pictures within the page
render     all of it through page.html, which takes in drawings.html and page.css
"""

from .render import render_page

__all__ = ["render_page"]
