"""Pages of made-up pipelines, and what tests look for in them."""

from xml.etree import ElementTree

from mzpipe.ipc.pods import Offset
from mzpipe.ipc.shape import Member
from mzpipe.ipc.stages import stages_of
from mzpipe.measure.page import About, render_page
from mzpipe.measure.pods import LinkUse, PodUse
from mzpipe.telemetry.rates import Count
from mzpipe.telemetry.report import make_report
from tests.telemetry.moments import MEMBERS, Pipeline

ABOUT = About(
    "cartpole",
    ("learner.batch_size=64", "search.num_simulations=5"),
    "Some CPU, 2 cores",
    "abc1234",
    "2026-01-02 03:04 UTC",
)
ACTORS = (Member("actor", 0), Member("actor", 1))
WITH_REANALYZER = (*MEMBERS[:3], Member("reanalyzer", 0), *ACTORS, MEMBERS[-1])
CLOCK = Offset(offset_ns=-2_500_000, error_ns=40_000, round_trip_ns=350_000)
# The rate of a machine faster than any, so that the words are as wide as they can be.
_ITEMS = 3_456_789


def busy_report(members=WITH_REANALYZER, seconds=4, items=_ITEMS):
    """Every stage of every process busy with this many items a second, in calls of many lengths."""
    pipeline = Pipeline(members)
    first, between = pipeline.moment(0.0, dict.fromkeys(members, 1.0)), []
    for second in range(1, seconds + 1):
        for member in members:
            for stage in stages_of(member.role):
                for milliseconds in (1, 2, 4, 9 * second):
                    pipeline.works(member, stage, milliseconds, items // 4)
            pipeline.waits(member, 400, blocked=member.role == "replay")
        between.append(Count.of(pipeline.moment(float(second))))
    last = pipeline.moment(float(seconds), dict.fromkeys(members, 1.0 + 0.3 * seconds))
    return make_report(first, last, cores=4, between=between[:-1])


def idle_report(members=MEMBERS):
    """A report in which no process did anything."""
    pipeline = Pipeline(members)
    first = pipeline.moment(0.0)
    for member in members:
        pipeline.waits(member, 2_000)
    return make_report(first, pipeline.moment(2.0), cores=4, between=[Count.of(first)._replace(time_s=1.0)])


def pod_use(pod=0, *, clock=CLOCK, weights_delay_s=0.25):
    """A pod whose processes did nothing, and whose link carried something."""
    link = LinkUse(1_234.0, 5.5e6, 80_000.0, 0.25, weights_delay_s, clock)
    members = (Member("inference", 0), Member("uplink", 0), Member("actor", 0))
    return PodUse(pod, f"node<{pod}>", idle_report(members), link)


def page_of(report, about=ABOUT, pods=()):
    """(its text, its elements); fails where the text is not well-formed."""
    page = render_page(report, about, pods)
    return page, ElementTree.fromstring(page)


def with_class(root, name):
    """Every element of this class, in order."""
    return [element for element in root.iter() if name in element.get("class", "").split()]


def words_of(element):
    """All text in an element, single spaced."""
    return " ".join(" ".join(element.itertext()).split())
