"""The case `deep`: searches of one position with a trained run."""
