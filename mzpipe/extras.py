"""Packages that only some uses need, and the extra of mzpipe that installs each."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from .errors import UsageError

# Names in `import`, of packages that setup.cfg lists under [options.extras_require].
EXTRAS = {
    "ale_py": "atari",
    "pyspiel": "boards",
    "minatar": "minatar",
    "pygame": "window",
    "onnx": "onnx",
    "onnxruntime": "cpu",
    "openvino": "cpu",
    "Box2D": "box2d",
    "mujoco": "mujoco",
    "envpool": "envpool",
    "flask": "web",
    "av": "video",
    "PIL": "video",
    "optuna": "sweep",
    "submitit": "slurm",
    "ray": "cluster",
    "trackio": "trackio",
    "wandb": "wandb",
    "mlflow": "mlflow",
}


def is_installed(package: str) -> bool:
    """Whether a package of EXTRAS can be imported; does not import it."""
    return find_spec(package) is not None


def how_to_install(package: str) -> str:
    """What to type for a package of EXTRAS."""
    return f"pip install 'mzpipe[{EXTRAS[package]}]'"


def require(package: str, what: str) -> None:
    """Raises UsageError, beginning with `what`, unless this package of EXTRAS is installed."""
    if not is_installed(package):
        raise UsageError(f"{what}: {package} is not installed: {how_to_install(package)}")


@contextmanager
def missing_extras() -> Iterator[None]:
    """Makes the error of a missing package of EXTRAS a UsageError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package not in EXTRAS:
            raise
        raise UsageError(f"this needs {package}, which is not installed: {how_to_install(package)}") from None
