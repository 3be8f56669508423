"""The exported dataset: whole episodes, their ends, and what a lost record does."""

import itertools
import json

import numpy as np
import pytest

from mzpipe.errors import InputOutputError
from mzpipe.ipc.schema import UNFINISHED
from mzpipe.replay.dataset import export_dataset, read_dataset
from mzpipe.replay.journal import Journal, JournalLayout, read_journal
from tests.replay.episodes import ENDS, FRAME_SHAPE, NUM_ACTIONS, random_episode, records

LAYOUT = JournalLayout(FRAME_SHAPE, "float32", NUM_ACTIONS)


def journal_of(directory, queues, lose=()):
    """A journal of records that take turns, as games do; `lose` are the places of records that are left out."""
    journal = Journal(directory, LAYOUT, segment_bytes=1 << 20)
    serial = 0
    while any(queues):
        for queue in queues:
            if queue:
                record = queue.pop(0)
                if serial not in lose:
                    journal.append(serial, record, actor=0, epoch=0)
                serial += 1
    journal.close(60.0)
    return read_journal(directory)


def test_dataset_gives_back_every_episode_whole(tmp_path):
    rng = np.random.default_rng(0)
    episodes = [random_episode(rng, length, end) for length, end in zip((12, 3, 17), sorted(ENDS), strict=True)]
    contents = journal_of(tmp_path / "journal", [list(records(each, 0, game=g)) for g, each in enumerate(episodes)])
    exported = export_dataset(contents, tmp_path / "out", game="Some", discount=0.99)
    assert exported == (32, 3, 1)
    (arrays,) = read_dataset(tmp_path / "out")
    found = {}
    for number in range(3):
        rows = arrays["episode_ids"] == number
        found[tuple(arrays["actions"][rows])] = {name: array[rows] for name, array in arrays.items()}
    for episode in episodes:
        rows = found[tuple(episode.actions)]
        np.testing.assert_array_equal(rows["observations"], np.stack(episode.frames))
        np.testing.assert_array_equal(rows["rewards"], np.float32(episode.rewards))
        np.testing.assert_array_equal(rows["root_values"], np.float32(episode.root_values))
        np.testing.assert_array_equal(rows["search_policies"], np.stack(episode.policies))
        np.testing.assert_array_equal(rows["steps"], np.arange(len(episode.actions)))
        assert rows["terminations"].tolist() == [False] * (len(rows["steps"]) - 1) + [episode.end == "terminated"]
        assert rows["truncations"].tolist() == [False] * (len(rows["steps"]) - 1) + [episode.end == "truncated"]
        assert rows["final_values"][-1] == np.float32(episode.final_value)
        assert not rows["final_values"][:-1].any()


def test_dataset_begins_another_episode_after_a_record_that_was_lost(tmp_path):
    episode = random_episode(np.random.default_rng(0), 15, "terminated")
    contents = journal_of(tmp_path / "journal", [list(records(episode, 0))], lose={1})
    assert export_dataset(contents, tmp_path / "out", game="Some", discount=1.0).episodes == 2
    (arrays,) = read_dataset(tmp_path / "out")
    assert arrays["steps"].tolist() == [*range(5), *range(10, 15)]
    assert arrays["episode_ids"].tolist() == [0] * 5 + [1] * 5
    assert UNFINISHED == 0
    assert arrays["terminations"].sum() == 1


def test_dataset_is_cut_into_files_at_ends_of_episodes(tmp_path, monkeypatch):
    monkeypatch.setattr("mzpipe.replay.dataset._FILE_BYTES", 500)
    rng = np.random.default_rng(0)
    queues = [list(records(random_episode(rng, 7, "terminated"), 0, game=game)) for game in range(6)]
    exported = export_dataset(journal_of(tmp_path / "journal", queues), tmp_path / "out", game="Some", discount=1.0)
    parts = list(read_dataset(tmp_path / "out"))
    assert exported.files == len(parts) > 1
    assert sum(len(part["actions"]) for part in parts) == exported.transitions == 42
    seen = [set(part["episode_ids"].tolist()) for part in parts]
    assert all(not (first & second) for first, second in itertools.pairwise(seen))
    index = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert index["transitions"] == 42
    assert index["frame_shape"] == [2]


def test_export_refuses_a_directory_that_is_there(tmp_path):
    contents = journal_of(tmp_path / "journal", [])
    with pytest.raises(InputOutputError, match=r"journal: cannot be created: File exists"):
        export_dataset(contents, tmp_path / "journal", game="Some", discount=1.0)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", r"dataset.json: not an exported dataset"),
        ("[]", r"dataset.json: not an exported dataset"),
        ('{"format": "other-9", "files": []}', r"format 'other-9', this program reads 'mzpipe-transitions-1'"),
        ('{"format": "mzpipe-transitions-1", "files": ["../secret.npz"]}', r"secret.npz: cannot be read"),
    ],
)
def test_reader_refuses_what_is_no_dataset(tmp_path, text, fault):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(InputOutputError, match=fault):
        list(read_dataset(tmp_path))


def test_reader_never_unpickles(tmp_path):
    np.savez(tmp_path / "x.npz", evil=np.array([{}], object))
    (tmp_path / "dataset.json").write_text('{"format": "mzpipe-transitions-1", "files": ["x.npz"]}')
    with pytest.raises(InputOutputError, match=r"x.npz: cannot be read: Object arrays cannot be loaded"):
        list(read_dataset(tmp_path))
