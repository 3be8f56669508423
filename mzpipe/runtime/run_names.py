"""Names within a run directory that more than the supervisor must know."""

# The resolved profile, and the directory of checkpoints.
PROFILE, CHECKPOINTS = "profile.toml", "checkpoints"
