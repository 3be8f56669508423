"""Reads a trace file, and checks that it keeps what every such file promises."""

import json
from bisect import bisect_right
from itertools import pairwise


def check_trace(text):
    """The file's events; its slices do not overlap, its times only rise, its flows start and finish once."""
    events = json.loads(text)["traceEvents"]
    times = [event["ts"] for event in events if event["ph"] != "M"]
    assert times == sorted(times)
    for row in _rows(events).values():
        for before, after in pairwise(row):
            assert _end_ns(before) <= _ns(after["ts"]), (before, after)
    for points in _points(events):
        assert [point["ph"] for point in points] == ["s", *["t"] * (len(points) - 2), "f"]
        assert points[-1]["bp"] == "e"
    return events


def flows(events):
    """(name, the (process, slice) it passes) of every flow, in the order of their starts."""
    names = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    rows = _rows(events)
    return [
        (points[0]["name"], [(names[point["pid"]], _slice_at(rows[point["pid"]], point)) for point in points])
        for points in _points(events)
    ]


def _rows(events):
    rows = {}
    for event in events:
        if event["ph"] == "X":
            rows.setdefault(event["pid"], []).append(event)
    return rows


def _points(events):
    points = {}
    for event in events:
        if event["ph"] in "stf":
            points.setdefault(event["id"], []).append(event)
    return list(points.values())


def _slice_at(row, point):
    index = bisect_right([_ns(each["ts"]) for each in row], _ns(point["ts"])) - 1
    assert index >= 0 and _ns(point["ts"]) <= _end_ns(row[index]), point
    return row[index]["name"]


def _ns(ts_us):
    return round(1_000 * ts_us)


def _end_ns(event):
    return _ns(event["ts"]) + _ns(event["dur"])
