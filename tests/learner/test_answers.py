"""The learner's answers while there is no room for them."""

import numpy as np

from mzpipe.ipc.ring import RingReader
from mzpipe.ipc.schema import Keys
from mzpipe.learner.answers import Answers


def test_kept_answer_has_the_keys_of_its_own_batch_when_the_batchs_slot_is_written_anew(plane):
    ring, size = plane.priority_ring(0), plane.shape.rank_batch_size
    answers, reader = Answers(ring, sending=lambda number: None), RingReader(ring)
    keys, priority_B = Keys(np.zeros(size, np.int64), np.zeros(size, np.int64)), np.ones(size, np.float32)
    while answers.has_room():
        answers.send(keys, priority_B)
    keys.slot_B[:] = 7
    answers.send(keys, priority_B)  # kept
    keys.slot_B[:] = 8  # the replay server has written another batch
    found = []
    while (slot := reader.peek()) is not None:
        found.append(int(slot.keys.slot_B[0]))
        reader.release()
        answers.send_kept()
    assert found[-1] == 7 and 8 not in found
