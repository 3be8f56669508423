"""`mzpipe export --onnx RUN`: the model of a checkpoint as three ONNX files and a description for their reader.

    DIR/representation.onnx, dynamics.onnx, prediction.onnx   see mzpipe.nets.onnx_export
        model.json   format, game, how frames are stacked, actions, codes of chance, players, discount, the origin of
                     the weights, and for each function its file, and its inputs and outputs by name: dtype and shape

DIR gets its name by one rename, after everything is in it.
"""

import json
from pathlib import Path
from typing import Any

from ..config import Profile
from ..games import GameSpec, describe_game
from ..nets import model_of
from ..nets.engines.networks import sample_observation
from ..nets.onnx_export import Graph, exported
from ..planning import signed_search
from ..runs.checkpoint import CheckpointStore
from ..runs.directory import RunDirectory
from .profile_arguments import new_directory, refuse_existing

FORMAT = "mzpipe-onnx-1"
INDEX = "model.json"
_COUNTERS = ("weights_version", "learner_steps", "env_steps")


def export_model(run: RunDirectory, profile: Profile, checkpoint: str | None, out: Path) -> dict[str, Any]:
    """Writes the model's files into `out`, a new directory; returns the contents of model.json.

    `checkpoint` None takes `best` if there is one, else `latest`. Raises UsageError
    when `out` exists, CheckpointError when the checkpoint is missing, damaged or
    another model's, InputOutputError when `out` cannot be written.
    """
    refuse_existing(out)
    (name, loaded), game = CheckpointStore(run.checkpoints).load_chosen(checkpoint), describe_game(profile.game)
    model = model_of(loaded, profile.network, game.observation_shape, game.num_actions, game.action_size)
    graphs = exported(model, sample_observation(game), game.num_actions)
    index = {
        "format": FORMAT,
        **_facts(game),
        "chance_codes": profile.network.chance_codes,
        "discount": signed_search(profile.search, game.num_players).discount,
        "checkpoint": name,
        **{counter: loaded.state[counter] for counter in _COUNTERS},
        "functions": {name: _signature(name, graph) for name, graph in graphs.items()},
    }
    files = {_file_name(name): graph.data for name, graph in graphs.items()}
    with new_directory(out) as draft:
        for name, data in {**files, INDEX: (json.dumps(index, indent=1) + "\n").encode()}.items():
            (draft / name).write_bytes(data)
    return index


def _facts(game: GameSpec) -> dict[str, Any]:
    return {
        "game": game.name,
        "description": game.description,
        "frame_shape": list(game.frame_shape),
        "frame_dtype": game.frame_dtype,
        "frame_stack": game.frame_stack,
        "num_actions": game.num_actions,
        "num_players": game.num_players,
    }


def _signature(name: str, graph: Graph) -> dict[str, Any]:
    return {
        "file": _file_name(name),
        "inputs": {name: spec._asdict() for name, spec in graph.inputs.items()},
        "outputs": {name: spec._asdict() for name, spec in graph.outputs.items()},
    }


def _file_name(function: str) -> str:
    return f"{function}.onnx"
