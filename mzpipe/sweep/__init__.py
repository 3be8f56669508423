"""Many runs with one command: a search for settings, or a grid as of seeds and games; each trial is an ordinary run."""
