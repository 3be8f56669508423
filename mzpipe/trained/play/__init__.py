"""Play: a person against a trained agent: board games in a terminal or on a local page, others by keyboard.

styles     how each board looks, its labels        terminal   the match in a terminal; `drawing` draws the board there
board      what lies where                         web        the match on a page, and the server that shows it
moves      where actions begin and end             keyboard   games of one player in a window; `keys` reads the keys
match      a game between a person and an agent, without a screen; `thought` is what the agent found
"""
