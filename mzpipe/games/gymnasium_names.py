"""The gymnasium environments that a profile may name."""

GYMNASIUM_NAMES = ("CartPole-v1", "LunarLander-v3")

# What the actions do, by number.
ACTION_NAMES = {
    "CartPole-v1": ("left", "right"),
    "LunarLander-v3": ("nothing", "left engine", "main engine", "right engine"),
    "Acrobot-v1": ("torque -1", "no torque", "torque +1"),
    "MountainCar-v0": ("left", "nothing", "right"),
    "FrozenLake-v1": ("left", "down", "right", "up"),
}
