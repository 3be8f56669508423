"""The learner: loss, step, publication, checkpoints."""
