"""The `vidseg` command. Thin: options in, calls into `vidseg.app`, one line out for every error.

Heavy libraries are imported inside the commands, so that `vidseg --help` is quick.
"""

from __future__ import annotations

import os
import sys

from vidseg.cli.main import app
from vidseg.errors import VidsegError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line and exit: 0 done, 1 failed while running, 2 asked for something impossible, 130 Ctrl+C.

    `VIDSEG_DEBUG=1` shows the traceback of errors that are otherwise one line.
    """
    try:
        app()
    except VidsegError as error:
        if os.environ.get("VIDSEG_DEBUG"):
            raise
        print(f"vidseg: error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except ImportError as error:
        if "cannot open shared object file" not in str(error):
            raise
        print(
            f"vidseg: error: {error}; a system library is missing: "
            "on Debian or Ubuntu `apt-get install libgl1 libglib2.0-0` brings what OpenCV needs",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        print("vidseg: interrupted", file=sys.stderr)
        sys.exit(130)
