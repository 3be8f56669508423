"""An engine that plays the first legal move of go on any board, or of chess; its argument plants a fault.

Speaks GTP unless the first line it hears is `uci`. Writes every line it hears to the file FAKE_ENGINE_LOG.
"""

import os
import sys
import time
from pathlib import Path

import pyspiel

FAULT = sys.argv[1] if len(sys.argv) > 1 else ""
LETTERS = "ABCDEFGHJKLMNOPQRST"
LOG = Path(os.environ.get("FAKE_ENGINE_LOG", os.devnull))


def say(text):
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def fail(reply):
    """Answers a request for a move with the planted fault, or with the reply."""
    if FAULT == "crash":
        sys.exit(3)
    if FAULT == "hang":
        time.sleep(600)
    if FAULT == "megabyte":
        say("x" * 1_000_000)
    if FAULT == "chatter":
        while True:
            say("x" * 60)
    say({"illegal": "= Z99\n", "resign": "= resign\n", "refuse": "? no\n", "bad": "bestmove e9e9"}.get(FAULT, reply))


def gtp(words, occupied):
    command, arguments = words[0], words[1:]
    if command == "boardsize":
        occupied["size"] = int(arguments[0])
    if command == "clear_board":
        occupied["taken"] = set()
    if command == "play":
        occupied["taken"].add(arguments[1].upper())
    if command == "genmove":
        places = (f"{LETTERS[c]}{r + 1}" for r in range(occupied["size"]) for c in range(occupied["size"]))
        place = next(place for place in places if place not in occupied["taken"])
        occupied["taken"].add(place)
        fail(f"= {place.lower()}\n")
    else:
        say("=\n")


def uci(words):
    if words[0] == "uci":
        say("id name fake\nuciok")
    if words[0] == "isready":
        say("readyok")
    if words[0] == "position":
        state = pyspiel.load_game("chess").new_initial_state()
        for name in words[3:]:
            board = state.board()
            lans = {pyspiel.chess.action_to_move(a, board).to_lan(): a for a in state.legal_actions()}
            state.apply_action(lans[name])
        uci.state = state
    if words[0] == "go":
        state = uci.state
        action = state.legal_actions()[0]
        say("info depth 1")
        fail(f"bestmove {pyspiel.chess.action_to_move(action, state.board()).to_lan()} ponder a1a1")


def main():
    is_uci, occupied = None, {"size": 0, "taken": set()}
    for line in sys.stdin:
        with LOG.open("a") as log:
            log.write(line)
        words = line.split()
        if is_uci is None:
            is_uci = words == ["uci"]
        if words[:1] == ["quit"]:
            return
        if is_uci:
            uci(words)
        else:
            gtp(words, occupied)


main()
