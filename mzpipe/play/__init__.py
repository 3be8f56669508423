"""Play: a person against a trained agent: board games in a terminal or on a local page, others by keyboard.

styles     how each board looks, its labels        match      a game between a person and an agent, without a screen
board      what lies where                         terminal   the match in a terminal; `drawing` draws the board there
moves      where actions begin and end             web        the match on a page, and the server that shows it
                                                   keyboard   games of one player in a window
"""
