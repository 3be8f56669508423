"""Video: games as mp4 or gif, what the search found drawn beside every picture.

overlay   one picture with its panel      encode   pictures to a file      recording   games to pictures
"""

from .recording import Limits, Recorded, record_games

__all__ = ["Limits", "Recorded", "record_games"]
