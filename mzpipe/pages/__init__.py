"""Pages: what every page for a browser shares: its look, the frames of its charts, and how templates are filled.

base.html, base.css   around and below each page's own      frame   the rectangle that a chart fills
axis                  round marks along its edges           render  the templates' environment
"""

from .frame import Frame, Mark
from .render import page_environment

__all__ = ["Frame", "Mark", "page_environment"]
