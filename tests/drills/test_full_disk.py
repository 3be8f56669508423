"""The drill of a full disk notices what does not hold."""

from tests.drills.full_disk import judge, total

SOUND = {"writer": "File", "calls": ["g open", "g write"], "met": 6, "faults": []}
FAULTY = {**SOUND, "faults": ["a draft is left"]}
IDLE = {**SOUND, "met": 0}
PLANTED = {**SOUND, "writer": "InPlace"}


def test_judge_holds_a_writer_only_if_every_call_was_refused_and_nothing_was_wrong():
    outcomes = [judge(result).outcome for result in (SOUND, FAULTY, IDLE, {**SOUND, "calls": [], "met": 0})]
    assert outcomes == ["held", "**not held**", "**not held**", "**not held**"]


def test_judge_holds_a_planted_fault_only_if_it_was_found():
    assert judge(PLANTED).outcome == "**not held**"
    assert judge({**PLANTED, "faults": ["half a file"]}).outcome == "held"


def test_total_is_not_held_when_one_writer_is_not_and_leaves_planted_ones_out():
    assert total({"File": SOUND, "InPlace": PLANTED}) == (
        "all writers",
        "1 writers, 2 calls, refused 6 times",
        "held",
        "",
    )
    assert total({"File": SOUND, "Other": FAULTY}).outcome == "**not held**"
