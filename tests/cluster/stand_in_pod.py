"""Stands for `mzpipe pod`: writes what it was told, then plays until it is stopped, or ends at once as it is asked to.

python -m tests.cluster.stand_in_pod FOLDER END ADDRESS --key FILE --run-dir DIR

END: "play", "stubborn", or an exit code.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

from mzpipe.cluster.keys import read_key


def main() -> None:
    folder, end, address, _, key_file, _, run_directory = sys.argv[1:]
    key = read_key(Path(key_file))
    Path(run_directory).mkdir(parents=True)
    told = {"pid": os.getpid(), "parent": os.getppid(), "address": address, "pod": key.pod, "public": key.public}
    (Path(folder) / f"{os.getpid()}.new").write_text(json.dumps(told | {"key": key_file}))
    (Path(folder) / f"{os.getpid()}.new").rename(Path(folder) / f"{os.getpid()}.json")
    sys.stderr.write(f"a pod, {key.pod}\n")
    sys.stderr.flush()
    if end not in ("play", "stubborn"):
        sys.exit(int(end))
    ended = []
    signal.signal(signal.SIGTERM, lambda *_: ended.append(1) if end == "play" else None)
    while not ended:
        time.sleep(0.02)
    sys.stderr.write("stopped in order\n")
    sys.exit(143)


main()
