"""All planted bugs, by where they are."""

from . import chance, cluster, ipc, learner, nets, on_ray, play, replay, runs, sampled, search, targets

BUGS = (
    *search.BUGS,
    *targets.BUGS,
    *replay.BUGS,
    *ipc.BUGS,
    *learner.BUGS,
    *nets.BUGS,
    *play.BUGS,
    *chance.BUGS,
    *cluster.BUGS,
    *sampled.BUGS,
    *runs.BUGS,
    *on_ray.BUGS,
)
