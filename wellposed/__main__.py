"""The command line, as a script and as `python -m wellposed`; Ctrl-C ends it cleanly from its first import on."""

import os
import signal
import sys
from typing import Any


def main() -> int:
    """Run a command. Ctrl-C ends it without a traceback, also while modules are imported; the exit code is 130."""
    stopped: list[int] = []

    def stop(number: int, _frame: Any) -> None:
        stopped.append(number)
        raise KeyboardInterrupt

    watched = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a job in the background ignores it
    if watched:
        signal.signal(signal.SIGINT, stop)
    try:
        from wellposed.cli import main as run

        return run()
    except BaseException:  # an import that is interrupted may end in any error
        if not stopped:
            raise
        os.write(2, b"wellposed: stopped.\n")
        return 130
    finally:
        if watched:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to do, so to end at once is right


if __name__ == "__main__":
    sys.exit(main())
