"""Web: matches as pages without a script, for browsers of this machine.

games      the matches by name                                  app      addresses, forms, what is refused
view       what the templates show of a match                   server   the listener on the loopback address
geometry   where places, labels and lines lie in the picture    cells    what is drawn, what can be clicked
"""

from .app import make_app
from .games import Games
from .server import serve

__all__ = ["Games", "make_app", "serve"]
