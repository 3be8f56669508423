"""The gymnasium environments that a profile may name: what is registered, but for what a family of its own plays."""

# What the actions do, by number.
ACTION_NAMES = {
    "CartPole-v1": ("left", "right"),
    "LunarLander-v3": ("nothing", "left engine", "main engine", "right engine"),
    "Acrobot-v1": ("torque -1", "no torque", "torque +1"),
    "MountainCar-v0": ("left", "nothing", "right"),
    "FrozenLake-v1": ("left", "down", "right", "up"),
}

_LEFT_TO_OTHERS = ("ale_py", "minatar")


def gymnasium_names() -> list[str]:
    """Registered ids; whether their actions and observations suit is seen when one is made."""
    import gymnasium

    return [
        name
        for name, spec in gymnasium.registry.items()
        # What is no string only tells how to install an adapter.
        if isinstance(spec.entry_point, str) and not spec.entry_point.startswith(_LEFT_TO_OTHERS)
    ]
