"""Page: a report as one self-contained HTML file: no script, no request, light and dark.

flows      what runs between the roles, and how fast      boxes      a role's bar and rows
drawing    both together; where they go: wide, tall       arrows     lines with heads and words
latencies  histograms of calls                            trends     rates over time
render     all of it through page.html, which takes in pictures.html and page.css; the rest is mzpipe.pages'
"""

from .render import About, render_page

__all__ = ["About", "render_page"]
