"""The process of one section: writes a JSON line for every result.

Run as `python -m mzbench.gpu.program SECTION SETTING DIRECTORY PARENT_PID`; the setting is JSON.
"""

import json
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from mzpipe.errors import ExitCode, MzpipeError
from mzpipe.runtime.devices import device_errors
from mzpipe.runtime.process import end_process, follow_supervisor

from .lines import Setting
from .sections import SECTIONS


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """Leaves by an exception, so that what a section has put into shared memory is removed."""
    raise SystemExit(ExitCode.of_signal(number))


def main(section: str, setting_json: str, directory: str, parent_pid: str) -> int:
    """Runs the program; an expected error becomes one line on stderr and its exit code."""
    setting = Setting(**json.loads(setting_json))
    signal.signal(signal.SIGTERM, _end)
    try:
        follow_supervisor(Path(directory), int(parent_pid))
        with device_errors():
            for line in SECTIONS[section].load()(setting):
                sys.stdout.write(json.dumps(line.as_json(setting)) + "\n")
                sys.stdout.flush()
    except MzpipeError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    end_process(main(*sys.argv[1:]))
