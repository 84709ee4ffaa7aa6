"""What a worker's process does after its start."""

from __future__ import annotations

import sys
import traceback
from multiprocessing.connection import Connection

from vidseg.chunks.split.chunk import do_chunk
from vidseg.chunks.split.plan import ChunkJob
from vidseg.errors import VidsegError, WorkerError, unexpected
from vidseg.freed_memory import keep_freed_memory


def work(job: ChunkJob, connection: Connection) -> None:
    """What a worker does: tells numbers of frames, then how it ended. Ends by itself when nobody listens any more."""
    keep_freed_memory()
    try:
        connection.send(do_chunk(job, connection.send))
    except BrokenPipeError:
        sys.exit(1)  # the run is gone
    except VidsegError as error:
        connection.send(error)
    except Exception as error:
        traceback.print_exc()
        connection.send(WorkerError(f"worker {job.number + 1}: {unexpected(error)}"))
