"""The kill drill's plan and its judges: losses must be told exactly, and a stop must say what it could not save."""

from collections import Counter

import pytest

from mzpipe.ipc.roles import Role
from mzpipe.ipc.shape import Member
from tests.drills.journal_check import Findings
from tests.drills.kill_plan import ROLES, SUPERVISOR, Kill, Phase, Session, plan_sessions
from tests.drills.kills import Figures, is_stop_as_promised, rows_of
from tests.drills.ledger import Balance, Books, balances, losses_of_epochs, losses_of_kills
from tests.drills.report import at_most, percentile

RESTORED = "replay-0: restored {:,} transitions of {:,} inserted so far; {:,} lost in a kill\n"
WAY = "it {} with {:,} transitions on their way to the replay server: they are lost\n"


def restored(lost):
    return RESTORED.format(1000, 1000, lost)


# A session whose replay server was killed twice and then the supervisor; one with a killed actor; and one more.
FIRST = Books(played=5_000, stored=4_900, output=restored(30) + restored(50))
SECOND = Books(played=8_000, stored=7_876, output=WAY.format("was killed", 40) + restored(10))
THIRD = Books(played=8_100, stored=7_976, output=WAY.format("ended", 24) + restored(0))


def test_ledger_is_balanced_when_each_loss_is_told_once():
    assert balances([FIRST, SECOND, THIRD]) == [Balance(100, 100), Balance(24, 24)]
    assert losses_of_kills([FIRST, SECOND, THIRD]) == [30, 20]


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (restored(10), 60),
        (WAY.format("was killed", 39) + restored(10), 99),
        (WAY.format("was killed", 40) + restored(60), 150),
    ],
)
def test_ledger_shows_a_loss_that_is_told_wrongly(output, told):
    assert balances([FIRST, SECOND._replace(output=output), THIRD])[0] == Balance(100, told)


def test_ledger_gives_a_session_that_restores_nothing_and_the_one_before_one_balance():
    early = Books(played=5_000, stored=4_900, output=WAY.format("was killed", 40))
    late = SECOND._replace(output=WAY.format("was killed", 0) + restored(10))
    assert balances([FIRST, early, late, THIRD]) == [Balance(100, 100), Balance(24, 24)]
    assert balances([FIRST, early._replace(output=""), SECOND, THIRD]) == [Balance(100, 100), Balance(24, 24)]


def test_lives_of_actors_lose_what_they_played_and_did_not_store():
    stored = Counter({(0, 0): 90, (0, 1): 50, (1, 0): 8})
    assert losses_of_epochs({(0, 0): 100, (0, 1): 50}, stored) == {(0, 0): 10, (0, 1): 0, (1, 0): -8}


def verdicts(books, **measured):
    """What each row says of these figures; lists by role may be left out."""
    figures = Figures()
    for name in ("useful_s", "others"):
        getattr(figures, name).update(measured.pop(name, {}))
    vars(figures).update(measured)
    return {row.what: row.verdict for row in rows_of(figures, books, Findings(7_976, 0, 0))}


def test_rows_are_good_when_every_promise_is_held():
    lives = {"lost_killed": [32, 0], "most_in_flight": 32, "lost_others": [0, 0]}
    by_role = {"useful_s": {role: [2.0] for role in Role}, "others": {role: [1.0] for role in Role}}
    found = verdicts([FIRST, SECOND, THIRD], noticed_ms=[10.0], gone_s=[0.1], **lives, **by_role)
    assert len(found) > 12
    assert set(found.values()) == {"ok"}


@pytest.mark.parametrize(
    ("what", "measured"),
    [
        ("death to its line", {"noticed_ms": [60.0]}),
        ("learner: death to useful", {"useful_s": {Role.LEARNER: [10.1]}}),
        ("evaluator dead: the learner at", {"others": {Role.EVALUATOR: [0.9]}}),
        ("actor: lost by one kill", {"lost_killed": [33], "most_in_flight": 32}),
        ("actor: lost by one kill", {"lost_killed": [-1], "most_in_flight": 32}),
        ("lost by actors that were not killed", {"lost_others": [0, 1]}),
        ("runtime directories left", {"left_behind": 1}),
        ("orphans 2 s after the supervisor", {"gone_s": [2.1], "orphans": 1}),
        ("actor: restart or exit code", {"kills": Counter({Role.ACTOR: 2}), "as_promised": Counter({Role.ACTOR: 1})}),
        ("anything else", {"faults": ["the run ended by itself"]}),
    ],
)
def test_row_is_bad_when_its_promise_is_not_held(what, measured):
    assert verdicts([FIRST, SECOND, THIRD], **dict(measured))[what] == "BAD"


def test_row_of_losses_is_bad_when_one_is_told_wrongly():
    wrong = SECOND._replace(output=WAY.format("was killed", 41) + restored(10))
    assert verdicts([FIRST, wrong, THIRD])["lost, and told by the next session"] == "BAD"


@pytest.mark.parametrize("findings", [Findings(100, 1, 0), Findings(100, 0, 1)])
def test_row_of_transitions_is_bad_when_one_is_torn_or_there_twice(findings):
    row = next(row for row in rows_of(Figures(), [], findings) if row.promise == "R6")
    assert row.verdict == "BAD"


REPLAY_KILLED = "at the stop replay-0 (pid 7) was killed by SIGKILL\n"
NOT_SAVED, NO_END = "no checkpoint is saved: the learner is dead", "the end of the journal may be missing"


@pytest.mark.parametrize(
    ("role", "code", "output", "saved", "is_right"),
    [
        (Role.ACTOR, 130, "at the stop actor-0 (pid 7) was killed by SIGKILL", True, True),
        (Role.ACTOR, 130, "", False, False),
        (Role.ACTOR, 70, "", True, False),
        (Role.LEARNER, 70, NOT_SAVED, False, True),
        (Role.LEARNER, 130, NOT_SAVED, False, False),
        (Role.LEARNER, 130, "", True, True),
        (Role.REPLAY, 70, REPLAY_KILLED + NO_END, True, True),
        (Role.REPLAY, 130, REPLAY_KILLED, True, False),
        (Role.REPLAY, 130, "", True, True),
    ],
)
def test_stop_is_as_promised_when_its_exit_code_says_what_could_not_be_saved(role, code, output, saved, is_right):
    assert is_stop_as_promised(code, output, Member(role, 0), saved) == is_right


def test_percentile_is_a_value_that_so_many_do_not_exceed():
    assert [percentile(range(1, 101), part) for part in (0.01, 0.5, 0.95, 1.0)] == [1, 50, 95, 100]
    assert percentile([7.0], 0.95) == 7.0
    assert at_most([1.0] * 95 + [9.0] * 5, 1.0, "s") == ("p50 1, p95 1, max 9 s of 100", True)
    assert not at_most([1.0] * 94 + [9.0] * 6, 1.0, "s")[1]
    assert at_most([], 1.0, "s")[1]


def test_plan_kills_every_role_in_every_phase_and_is_the_same_for_one_seed():
    sessions = plan_sessions(100, 3, ROLES)
    assert sessions == plan_sessions(100, 3, ROLES) != plan_sessions(100, 4, ROLES)
    kills = [kill for session in sessions for kill in (*session.kills, session.end) if kill]
    assert len(kills) >= 100
    assert {kill.role for kill in kills} == set(ROLES)
    assert {kill.phase for kill in kills} == set(Phase)
    assert any(kill.also for kill in kills)
    early = [session for session in sessions if session.end == Kill(SUPERVISOR, Phase.START)]
    assert all(session.kills == [] for session in early) and sessions[0] not in early


def test_plan_kills_the_replay_server_only_where_losses_of_actors_are_not_counted():
    for session in plan_sessions(60, 0, ROLES):
        has_replay = any(kill.touches(Role.REPLAY) for kill in (*session.kills, session.end) if kill)
        assert session.keeps_what_is_stored == (not has_replay and getattr(session.end, "role", None) != SUPERVISOR)


def test_plan_has_only_the_roles_that_are_named():
    sessions = plan_sessions(5, 0, [Role.REPLAY])
    assert {kill.role for session in sessions for kill in (*session.kills, session.end) if kill} == {Role.REPLAY}
    assert plan_sessions(1, 0, [SUPERVISOR])[0].end == Kill(SUPERVISOR, Phase.STEADY)
    assert all(isinstance(session, Session) for session in sessions)
