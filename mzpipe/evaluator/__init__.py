"""The evaluator: whole greedy games with one published weights version."""
