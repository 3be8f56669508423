"""The replay server: what actors played, kept and sampled for the learner."""
