"""Plain-Python twins of the target kernels, over ordinary lists of one whole episode."""


def n_step_value(reward_T, root_value_T, t, discount, td_steps, final_value) -> float:
    """z_t by its definition, power by power."""
    end = len(reward_T)
    n = min(td_steps, end - t)
    value = sum(discount**i * float(reward_T[t + i]) for i in range(n))
    bootstrap = final_value if t + n == end else float(root_value_T[t + n])
    return value + discount**n * bootstrap


def two_hot(y: float, support_size: int) -> list[float]:
    """Weight of each integer -n .. n: 1 minus its distance to y, and no less than 0."""
    y = max(-support_size, min(support_size, y))
    return [max(0.0, 1.0 - abs(y - integer)) for integer in range(-support_size, support_size + 1)]
