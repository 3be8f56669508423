"""Actors: games played with search, written as trajectories."""
