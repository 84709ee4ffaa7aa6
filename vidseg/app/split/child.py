"""Where a worker's process begins: it imports little, so that it is soon one that ends with the run it belongs to."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from multiprocessing.connection import Connection


def begin(pickled: bytes, connection: Connection) -> None:
    """Do a pickled `PieceJob`, and tell of it through the connection."""
    threading.Thread(target=_end_with_parent, name="vidseg-parent", daemon=True).start()
    from vidseg.app.split.workers import work  # torch, OpenCV and FFmpeg come with it

    work(pickle.loads(pickled), connection)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only a worker has one"
    parent.join()  # also where it was killed
    os._exit(1)
