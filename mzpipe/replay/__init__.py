"""The replay server: keeps what actors played, and samples it for the learner."""
