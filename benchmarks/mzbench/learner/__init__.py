"""The case `learner`: training steps fed from the batch ring, and two ranks."""
