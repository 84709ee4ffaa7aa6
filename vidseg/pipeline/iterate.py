"""A run whose results are taken one by one by the caller, who may stop at any time."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Generator

from vidseg.pipeline.buffer import Buffer, Closed
from vidseg.pipeline.options import Result
from vidseg.pipeline.pipeline import Pipeline

_under_way: set[Callable[[], None]] = set()
"""What ends each stream that was begun and neither ended nor closed."""


@atexit.register
def _end_all() -> None:
    # a program may end with a stream under way; threads that are killed inside of a library take the process with them
    for end in tuple(_under_way):
        end()


def iterate(pipeline: Pipeline) -> Generator[Result, None, None]:
    """Results in order; the next ones are made while the caller works on one, and wait when the caller is slow.

    Closing the generator (`break` in a loop, an exception, `del`) aborts the run. When it has ended, by itself or not,
    its threads have ended and the source is closed, but for a source that hangs for longer than the pipeline waits.

    Args:
        pipeline: not yet run, without sinks: they would not wait for the caller.
    Raises:
        Whatever a stage raised first.
    """
    handed: list[Buffer[Result]] = []
    errors: list[BaseException] = []
    ready, released = threading.Event(), threading.Event()

    def display(results: Buffer[Result]) -> None:
        handed.append(results)
        ready.set()
        released.wait()

    def run() -> None:
        try:
            pipeline.run(display)
        except BaseException as error:
            errors.append(error)
        finally:
            ready.set()

    def end() -> None:
        pipeline.abort()
        released.set()
        thread.join()

    thread = threading.Thread(target=run, name="vidseg-run", daemon=True)
    _under_way.add(end)
    thread.start()
    try:
        ready.wait()
        while handed:
            try:
                result = handed[0].get()
            except Closed:
                break
            yield result
    except BaseException:
        pipeline.abort()
        raise
    finally:
        released.set()
        # a forgotten generator may be collected on one of the run's own threads, which cannot wait for itself
        if not threading.current_thread().name.startswith("vidseg-"):
            thread.join()
        _under_way.discard(end)
    if errors:
        raise errors[0]
