"""All planted bugs, by where they are."""

from . import chance, ipc, learner, nets, play, replay, runs, sampled, search, targets

BUGS = (
    *search.BUGS,
    *targets.BUGS,
    *replay.BUGS,
    *ipc.BUGS,
    *learner.BUGS,
    *nets.BUGS,
    *play.BUGS,
    *chance.BUGS,
    *sampled.BUGS,
    *runs.BUGS,
)
