"""`python -m mzpipe`: the command. From its first line on, nothing is imported from the current directory."""

import sys

if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the current directory, which Python has put there
    from .supported import end_elsewhere

    end_elsewhere()
    from .cli.main import main

    sys.exit(main())
