"""scores.csv outlives crashes."""

import dataclasses
from pathlib import Path

import pytest

from mzpipe.errors import InputOutputError
from mzpipe.runs.scores import ScoresFile, read_scores
from tests.telemetry.samples import EVALUATION

SECOND = dataclasses.replace(EVALUATION, weights_version=40, env_steps=16_000, return_mean=1 / 3, return_std=0.1 + 0.2)
FORMER_HEADER = "env_steps,learner_steps,weights_version,episodes,return_mean,return_std\n"
HEADER = FORMER_HEADER.replace("\n", ",protocol,human_normalised\n")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.csv"


def test_scores_file_writes_the_header_once(path: Path) -> None:
    ScoresFile(path).append(EVALUATION)
    ScoresFile(path).append(EVALUATION)
    assert path.read_text() == HEADER + 2 * "12000,3000,31,20,120.5,33.2,greedy,\n"


def test_read_scores_returns_what_was_appended_bit_for_bit(path: Path) -> None:
    scores = ScoresFile(path)
    scores.append(EVALUATION)
    scores.append(SECOND)
    scores.append(dataclasses.replace(SECOND, protocol="atari100k"))
    assert read_scores(path) == [EVALUATION, SECOND, dataclasses.replace(SECOND, protocol="atari100k")]


def test_read_scores_returns_none_when_there_is_no_file(path: Path) -> None:
    assert read_scores(path) == []


@pytest.mark.parametrize("torn", ["16000,3", "16000,3000,40,20,0.333,0.3", "\0\0\0\0", "16000,\N{DEGREE SIGN}"])
def test_read_scores_leaves_out_the_last_row_when_a_crash_cut_it_short(path: Path, torn: str) -> None:
    ScoresFile(path).append(EVALUATION)
    path.write_bytes(path.read_bytes() + torn.encode()[:-1])
    assert read_scores(path) == [EVALUATION]


def test_append_mends_the_last_row_when_a_crash_cut_it_short(path: Path) -> None:
    ScoresFile(path).append(EVALUATION)
    path.write_text(path.read_text() + "16000,3000,4")
    ScoresFile(path).append(SECOND)
    assert read_scores(path) == [EVALUATION, SECOND]


@pytest.mark.parametrize("torn", ["", "env_steps,lear"])
def test_append_starts_over_when_not_even_the_header_was_written(path: Path, torn: str) -> None:
    path.write_text(torn)
    assert read_scores(path) == []
    ScoresFile(path).append(EVALUATION)
    assert read_scores(path) == [EVALUATION]


def test_read_scores_names_the_line_when_a_row_in_the_middle_is_damaged(path: Path) -> None:
    path.write_text(HEADER + "12000,3000,31,20,120.5,33.2,muzero,\n12000,3000,x,20,120.5,33.2,muzero,\n")
    with pytest.raises(
        InputOutputError, match=r"scores.csv, line 3: '12000,3000,x,20,120.5,33.2,muzero,' is not a row of scores"
    ):
        read_scores(path)


@pytest.mark.parametrize("row", ["12000,3000,31,20,120.5,33.2", "12000,3000,31,20,120.5,33.2,greedy,0.5,1"])
def test_read_scores_names_the_line_when_a_row_has_another_length(path: Path, row: str) -> None:
    path.write_text(f"{HEADER}{row}\n")
    with pytest.raises(InputOutputError, match=r"scores.csv, line 2: .* is not a row of scores"):
        read_scores(path)


def test_a_file_without_the_later_columns_is_read_and_appended_to_without_them(path: Path) -> None:
    path.write_text(FORMER_HEADER + "12000,3000,31,20,120.5,33.2\n")
    ScoresFile(path).append(dataclasses.replace(EVALUATION, human_normalised=0.5))
    assert path.read_text() == FORMER_HEADER + 2 * "12000,3000,31,20,120.5,33.2\n"
    assert read_scores(path) == [EVALUATION, EVALUATION]


def test_the_human_normalised_score_is_written_where_there_is_one(path: Path) -> None:
    pong = dataclasses.replace(EVALUATION, human_normalised=-0.25)
    ScoresFile(path).append(pong)
    assert path.read_text() == HEADER + "12000,3000,31,20,120.5,33.2,greedy,-0.25\n"
    assert read_scores(path) == [pong]


@pytest.mark.parametrize("header", ["step,return", FORMER_HEADER[:-1] + ",mood"])
def test_append_refuses_other_columns(path: Path, header: str) -> None:
    path.write_text(f"{header}\n1,2\n")
    with pytest.raises(InputOutputError, match=f"the columns are {header}, not env_steps,learner_steps"):
        ScoresFile(path).append(EVALUATION)


def test_read_scores_refuses_other_columns(path: Path) -> None:
    path.write_text("step,return\n1,2\n")
    with pytest.raises(InputOutputError, match="the columns are step,return, not env_steps,learner_steps"):
        read_scores(path)


def test_append_names_the_path_when_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(InputOutputError, match=r"cannot write .*missing/scores.csv: No such file or directory"):
        ScoresFile(tmp_path / "missing" / "scores.csv").append(EVALUATION)


@pytest.mark.parametrize("character", ["\0", "\x1b"])
def test_read_scores_refuses_a_name_that_would_steer_a_terminal(path: Path, character: str) -> None:
    path.write_text(HEADER + f"12000,3000,31,20,120.5,33.2,{character}[31m,\n")
    with pytest.raises(InputOutputError, match=r"line 2: .* a name holds control characters"):
        read_scores(path)
