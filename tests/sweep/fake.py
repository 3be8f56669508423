"""Stands for `mzpipe train`: writes scores.csv, as DIR/plan.json says for the trial, and no model is trained.

A trial's plan: `returns` (one a row), `code` (the exit code), `says` (its last line), `hangs` (waits for a signal).
"""

import json
import os
import signal
import sys
from pathlib import Path

INTERVAL = 100
_HEADER = "env_steps,learner_steps,weights_version,episodes,return_mean,return_std"


def main(profile, option, run, *words):
    signal.signal(signal.SIGTERM, lambda *_: os._exit(143))
    run = Path(run)
    plans = json.loads((run.parent / "plan.json").read_text())
    plan = {"returns": [1.0, 2.0], "code": 0, "says": "", "hangs": False, **plans.get(run.name, plans.get("all", {}))}
    run.mkdir(exist_ok=True)
    with open(run.parent / "starts", "a") as starts:
        starts.write(f"{run.name} {os.getpid()} {','.join(map(str, sorted(os.sched_getaffinity(0))))}\n")
    rows = [f"{10 * step},{step},{step},3,{value},0.0" for step, value in numbered(plan["returns"])]
    draft = run / "draft"
    draft.write_text("\n".join([_HEADER, *rows]) + "\n")
    draft.rename(run / "scores.csv")
    (run / "profile.toml").write_bytes(Path(profile).read_bytes())
    while plan["hangs"]:
        signal.pause()
    sys.stderr.write(plan["says"])
    sys.stderr.flush()
    os._exit(plan["code"])


def numbered(returns):
    return [(INTERVAL * place, value) for place, value in enumerate(returns, start=1)]


if __name__ == "__main__":
    main(*sys.argv[1:])
