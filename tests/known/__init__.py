"""Games whose true rules stand in for a learned model."""
