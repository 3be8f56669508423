"""Drills: commands that hurt a live run on purpose and hold what it does against docs/reliability.md.

    python -m tests.drills.kills    kill -9 of every role and of the supervisor, at every phase
    python -m tests.drills.stops    SIGSTOP of every role and of the supervisor; Ctrl-C, once and twice
    python -m tests.drills.load     a machine that is busy and that stutters: nothing may be killed for it
    python -m tests.drills.slowed   two trainings, one of them on a machine that stutters: both learn alike
    python -m tests.drills.mutations   damaged and forged files of a run, and what every command makes of them
    python -m tests.drills.full_disk   every call of every writer is refused, and live runs fill their disks
    python -m tests.drills.soak     what each process holds, over an hour

Each prints what it measured and ends with 1 if a promise is not held. They take minutes, so `make test` only runs their
judges, against good data and against data with a planted fault.
"""
