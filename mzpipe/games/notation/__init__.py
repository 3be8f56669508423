"""Board games as people and other programs write them: places, moves by name, and one game by the rules."""
