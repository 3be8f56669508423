"""A link against a naive model, lists: plays, laps and deaths in any order."""

import random

import pytest

from tests.cluster.rig import Head, Pod, step

ACTORS = 2


class Model:
    """What a link promises, with lists: each actor's records arrive in the order played, none twice, none left out."""

    def __init__(self):
        self.played = [[] for _ in range(ACTORS)]
        self.arrived = [[] for _ in range(ACTORS)]

    def check(self):
        for played, arrived in zip(self.played, self.arrived, strict=True):
            assert arrived == played[: len(arrived)]


@pytest.mark.parametrize("seed", range(4))
def test_records_arrive_once_and_in_order_whatever_dies_and_whenever(tmp_path, seed):
    rng, model = random.Random(seed), Model()
    head = Head(tmp_path / "head")
    pod = Pod(tmp_path / "pod", head)
    ring_slots = head.plan.shape.trajectory_ring_slots
    epochs = [0, 0]

    def play():
        actor = rng.randrange(ACTORS)
        serial = pod.serial
        if pod.play(actor):
            model.played[actor].append(serial)

    def take():
        reader = head.records[0]
        slot = reader.peek()
        if slot is not None:
            model.arrived[int(slot.game[0]) // head.plan.shape.games_per_actor].append(int(slot.offset[0]))
            reader.release()

    def kill_uplink():
        pod.kill()
        epochs[1] += 1
        pod.start(epoch=epochs[1])

    def kill_gateway():
        head.kill()
        epochs[0] += 1
        head.start(epoch=epochs[0])

    laps = [
        (lambda: head.gateway.do_work(), 6),
        (lambda: pod.uplink.do_work(), 6),
        (lambda: step(head, pod, at_least=5), 1),
    ]
    calls, weights = zip((play, 6), (take, 4), *laps, (kill_uplink, 0.15), (kill_gateway, 0.15), strict=True)
    for _ in range(300):
        rng.choices(calls, weights)[0]()
        model.check()
        link = head.gateway._links[0]
        assert link._records <= link._limit <= link._records + ring_slots or not link.is_joined

    def all_arrived():
        take()
        return model.arrived == model.played

    step(head, pod, until=all_arrived)
    assert head.row.lost == 0
    pod.close()
    head.close()
