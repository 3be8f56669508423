"""What pods would bring: bytes over every link, and the rate at which something saturates; computed and simulated."""
