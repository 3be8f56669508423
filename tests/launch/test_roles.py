"""A role's name is declared once, and its agent is made from the same context as every other."""

import ast
import dataclasses
from pathlib import Path
from typing import get_args

import pytest

from mzpipe.config.profile import ExternalRole
from mzpipe.ipc.dataplane import DataPlane
from mzpipe.ipc.roles import Role
from mzpipe.launch.roles import SEARCHING_ROLES, STOP_STAGES, make_agent
from mzpipe.runtime.agent import Agent
from tests.tiny import make_context, make_plane, planned, tiny_profile

ROOT = Path(__file__).parents[2]
# In these files the words mean something else: sections of a profile, rows of the live view, cases of a benchmark. Only
# ExternalRole names roles, as words of the profile.
OTHER_WORDS = {
    "mzpipe/config/load.py": {"replay"},
    "mzpipe/config/profile.py": set(Role),
    "mzpipe/config/validate.py": {"inference", "learner"},
    "mzpipe/telemetry/dashboard.py": {"replay"},
    "mzpipe/telemetry/metrics.py": {"actor", "learner", "inference", "reanalyzer"},
    "benchmarks/mzbench/registry.py": {"replay", "learner"},
    "benchmarks/mzbench/gpu/host.py": {"replay"},
    "benchmarks/mzbench/gpu/sections.py": {"inference", "learner"},
}


def roles_written_out(path):
    """(place, word) of every string of a file that is a role's name and nothing else."""
    name = str(path.relative_to(ROOT))
    words = set(Role) - OTHER_WORDS.get(name, set())
    nodes = ast.walk(ast.parse(path.read_text()))
    return [
        (f"{name}:{node.lineno}", node.value)
        for node in nodes
        if isinstance(node, ast.Constant) and node.value in words
    ]


def test_role_is_written_out_only_where_it_is_declared():
    files = [path for folder in ("mzpipe", "benchmarks/mzbench") for path in (ROOT / folder).rglob("*.py")]
    declaration = ROOT / "mzpipe/ipc/roles.py"
    assert len(roles_written_out(declaration)) == len(Role)
    assert [word for path in files if path != declaration for word in roles_written_out(path)] == []


def test_external_role_is_none_or_any_role_of_a_run():
    assert sorted(get_args(ExternalRole)) == sorted(["none", *({*Role} - {Role.UPLINK})])  # of a run, not of a pod


def test_stop_has_a_stage_for_every_role_and_no_role_is_restarted_after_what_it_feeds():
    assert set(STOP_STAGES) == set(Role)
    assert {STOP_STAGES[role] for role in SEARCHING_ROLES} == {1}


@pytest.mark.parametrize("role", Role)
def test_make_agent_makes_every_role_from_the_same_context(tmp_path, role):
    profile = tiny_profile("reanalyze.fraction=0.5", "cluster.pods=1")
    shape = dataclasses.replace(planned(profile).shape, is_pod=role is Role.UPLINK)
    agent = make_agent(make_context(profile, DataPlane.create(tmp_path, shape), role))
    assert isinstance(agent, Agent)
    assert agent.role is role


def test_agents_of_two_players_take_the_discount_with_its_sign(tmp_path):
    profile = tiny_profile("game.name=tic_tac_toe", "reanalyze.fraction=0.5", "search.discount=0.9")
    plane = make_plane(tmp_path, profile)
    replay, reanalyzer = (make_agent(make_context(profile, plane, role)) for role in (Role.REPLAY, Role.REANALYZER))
    assert (replay._discount, reanalyzer._search.discount) == (-0.9, -0.9)
