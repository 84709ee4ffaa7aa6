"""Jobs whose input or outputs are URLs: done like all others, on copies in a folder of their own on this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace

from vidseg.atomic import write_failure
from vidseg.batch.identity import is_remote, plain_path
from vidseg.batch.job import Job, JobResult, files_below, name_in_stats
from vidseg.batch.remote_files import download, upload
from vidseg.errors import VidsegError, unexpected
from vidseg.names import shown_name
from vidseg.wiring.input_files import Identity, identity_of

LONGEST_NAME = 100
"""Characters of a copy's name; keys of object stores may be longer than names of files."""


def needs_copies(job: Job) -> bool:
    """Whether the input or the outputs are URLs."""
    return is_remote(job.source) or any(map(is_remote, job.outputs.values()))


def remote_attempt(
    job: Job, do: Callable[[Job], JobResult], *, aborted: Callable[[], bool] = lambda: False, mark: str | None = None
) -> JobResult:
    """Copy the input here, let `do` work on it, and copy the outputs there when all are whole. Never raises.

    Args:
        do: does a job of files, as `do_job`.
        aborted: looked at between pieces of the copy, and before the outputs are copied.
        mark: as for `upload`.
    """
    start = time.monotonic()
    try:
        folder = tempfile.mkdtemp(prefix="vidseg-")
    except OSError as error:
        return JobResult(job.number, "failed", write_failure(tempfile.gettempdir(), error))
    ended = JobResult(job.number, "failed")
    try:
        ended = _Copies(job, folder).attempt(do, aborted, mark)
    except VidsegError as error:
        ended = replace(ended, reason=str(error).removeprefix(f"{shown_name(job.source)}: "))
    except Exception as error:  # a mistake in vidseg or a library: the other inputs shall not pay for it
        ended = replace(ended, reason=unexpected(error), trace=traceback.format_exc())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return replace(ended, seconds=time.monotonic() - start)


class _Copies:
    """The names of a job's files here."""

    def __init__(self, job: Job, folder: str) -> None:
        self._job = job
        self._folder = folder
        self._names: dict[str, str] = {}
        """By option; those that are URLs. Each in a folder of its own, because an output may come with others."""
        for option, path in {"source": job.source, **job.outputs}.items():
            if is_remote(path):
                base = os.path.basename(plain_path(path).rstrip("/"))[-LONGEST_NAME:].lstrip("-")
                self._names[option] = os.path.join(folder, option, base) + "/" * path.endswith("/")

    def attempt(self, do: Callable[[Job], JobResult], aborted: Callable[[], bool], mark: str | None) -> JobResult:
        job = self._job
        stopped = JobResult(job.number, "stopped", "stopped by the user")
        for name in self._names.values():
            os.makedirs(os.path.dirname(name.rstrip("/")), exist_ok=True)
        identity = identity_of(job.source)
        if "source" in self._names:
            identity = download(job.source, self._names["source"], aborted=aborted)
            if identity is None:
                return stopped
        result = do(replace(job, config=replace(job.config, **self._names)))  # type: ignore[arg-type]
        result = replace(
            result,
            identity=identity,
            reason=self._with_urls(result.reason),
            notes=tuple(self._with_urls(note) for note in result.notes),
        )
        if result.state != "done" and not result.frames:
            return result
        given = {"source": shown_name(job.source), **job.outputs}
        name_in_stats(self._names.get("stats") or job.outputs.get("stats"), given)
        if not any(map(is_remote, job.outputs.values())):
            known = {path: identity and identity_of(path) for path, identity in result.outputs.items()}
            return replace(result, outputs=known)
        if aborted():
            return replace(stopped, identity=identity)
        try:
            return replace(result, outputs=self._upload(mark))
        except VidsegError as error:
            return replace(result, state="failed", reason=str(error), input_fault=False, outputs={})

    def _upload(self, mark: str | None) -> dict[str, Identity | None]:
        job = self._job
        made = {option: url for option, url in job.outputs.items() if os.path.exists(self._names[option])}
        files = {path: url for option in sorted(made, key="output".__eq__) for path, url in self._files(option)}
        known = upload(files, mark=mark, new=() if job.config.overwrite else tuple(job.outputs.values()))
        return {url: known.get(url) for url in made.values()}

    def _files(self, option: str) -> Iterator[tuple[str, str]]:
        """The files of one output here, and their URLs."""
        name, url = self._names[option].rstrip("/"), self._job.outputs[option].rstrip("/")
        for path in files_below(os.path.dirname(name)):
            if path == name or path.startswith(name + "/"):
                yield path, url + path[len(name) :]
            else:  # beside the output
                yield path, f"{url.rpartition('/')[0]}/{os.path.basename(path)}"

    def _with_urls(self, text: str) -> str:
        for option, name in self._names.items():
            text = text.replace(name, shown_name(getattr(self._job.config, option)))
        return text.replace(self._folder, tempfile.gettempdir())
