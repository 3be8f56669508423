"""The gymnasium environments that a profile may name."""

GYMNASIUM_NAMES = ("CartPole-v1", "LunarLander-v3")
