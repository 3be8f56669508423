"""The case `bridge`: trajectories and weights over a link, against the transport alone."""
