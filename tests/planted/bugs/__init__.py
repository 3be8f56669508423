"""All planted bugs, by where they are."""

from . import ipc, learner, nets, play, replay, runs, search, targets

BUGS = (
    *search.BUGS,
    *targets.BUGS,
    *replay.BUGS,
    *ipc.BUGS,
    *learner.BUGS,
    *nets.BUGS,
    *play.BUGS,
    *runs.BUGS,
)
