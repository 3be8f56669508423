"""Rates over time are differences of counts, from each to the next."""

import numpy as np
import pytest

from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import Stage
from mzpipe.telemetry.rates import Count, rates_over_time
from mzpipe.telemetry.report import make_report
from tests.telemetry.moments import Pipeline


def count(time_s, env_steps):
    items_S = np.zeros(len(Stage), np.int64)
    items_S[Stage.ENV_STEP] = env_steps
    return Count(time_s, items_S)


def spans(points):
    return [(point.begin_s, point.end_s, point.rates.env_steps_per_s) for point in points]


def test_each_interval_has_the_rate_of_what_was_counted_in_it():
    points = rates_over_time([count(100.0, 7), count(100.5, 17), count(102.0, 17), count(103.0, 20)], ranks=1)
    assert spans(points) == [(0.0, 0.5, 20.0), (0.5, 2.0, 0.0), (2.0, 3.0, 3.0)]


def test_a_short_last_interval_is_part_of_the_one_before():
    points = rates_over_time([count(0.0, 0), count(1.0, 10), count(2.0, 30), count(2.1, 35)], ranks=1)
    assert spans(points) == [(0.0, 1.0, 10.0), (1.0, 2.1, pytest.approx(25 / 1.1))]


def test_two_counts_close_together_are_one_interval():
    assert spans(rates_over_time([count(0.0, 0), count(0.1, 10)], ranks=1)) == [(0.0, 0.1, 100.0)]


def test_rates_over_time_and_those_of_the_whole_are_counted_alike():
    """Two learner ranks, and searches that take an answer for their root."""
    learners = (Member("learner", 0), Member("learner", 1))
    actor = Member("actor", 0)
    pipeline = Pipeline((*learners, actor))
    first, between = pipeline.moment(0.0), []
    for time_s in (1.0, 2.0):
        for learner in learners:
            pipeline.works(learner, Stage.OPTIMIZER, 1, items=6)
        pipeline.works(actor, Stage.TREE, 1, items=26)
        pipeline.works(actor, Stage.ROOT_SEARCH, 1, items=1)
        between.append(Count.of(pipeline.moment(time_s)))
    report = make_report(first, pipeline.moment(2.0), cores=2, between=between[:1])
    assert (report.learner_steps_per_s, report.simulations_per_s) == (6.0, 25.0)
    assert [point.rates for point in report.over_time] == [(0.0, 25.0, 6.0)] * 2
