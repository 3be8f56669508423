"""The table of the drill of stuttering stages, on curves made up by hand."""

from tests.drills.slowed import late_means, report


def test_late_means_are_over_the_last_part_of_the_longest_curve():
    points = {"short": [(10, 1.0), (70, 3.0)], "long": [(0, 9.0), (59, 9.0), (60, 1.0), (100, 2.0)]}
    assert late_means(points) == {"short": 3.0, "long": 1.5}


def test_report_has_a_row_for_each_curve_and_a_column_for_each_training():
    table = report({"undisturbed": {"loss": 1.0, "minutes": 2.0}, "learner": {"loss": 1.25, "minutes": 8.0}})
    assert list(table.columns[0].cells) == ["loss", "minutes"]
    assert list(table.columns[2].cells) == ["1.250", "8.000"]
