"""Pods: actors and reanalyzers on other machines, the bridge that carries their records, and the keys of both ends."""
