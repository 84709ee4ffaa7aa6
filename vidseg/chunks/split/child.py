"""Where a worker's process begins; it imports little, so that it soon watches for the end of its run."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from multiprocessing.connection import Connection

from vidseg.pipeline.background import BackgroundTask

_LOOK_SECONDS = 0.2


def begin(pickled: bytes, connection: Connection) -> None:
    """Do a pickled `ChunkJob`, and tell of it through the connection."""
    over = threading.Event()

    def end_with_parent() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None, "only a worker has one"
        while not over.is_set():
            parent.join(_LOOK_SECONDS)
            if not parent.is_alive():
                os._exit(1)  # also where it was killed

    with BackgroundTask("parent", end_with_parent, over.set):
        from vidseg.chunks.split.work import work  # torch, OpenCV and FFmpeg come with it

        work(pickle.loads(pickled), connection)
