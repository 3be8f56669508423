"""A person plays against a trained agent: board games in a terminal or on a local page, others by keyboard.

styles     how each board looks, its labels            terminal   the match in a terminal
board      the pieces and labels of a position         web        the match on a page, and its server
moves      where actions begin and end                 keyboard   games of one player in a window
match      a game between a person and an agent, without a display
"""
