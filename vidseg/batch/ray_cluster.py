"""Does jobs on the nodes of a Ray cluster.

Ray places the tasks, starts them again when a worker or node dies, and brings the results back. The batch itself, its
archive and its report stay where it was started: a file is done when its one result has arrived there.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vidseg.batch.board import Board
from vidseg.batch.identity import is_remote
from vidseg.batch.job import Job, JobResult
from vidseg.batch.local import Hooks
from vidseg.batch.ray_progress import ProgressBoard
from vidseg.batch.ray_worker import Task, do_task
from vidseg.batch.remote_files import remove_folder
from vidseg.batch.resources import CORES_PER_JOB
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, DeviceError, SinkError
from vidseg.names import shown_name
from vidseg.pipeline.pipeline import TICK_SECONDS
from vidseg.signals import SIGNALS
from vidseg.version import __version__

REACH_SECONDS = 10.0
"""How long the head of a cluster may take to answer."""
ATTEMPTS_AGAIN = 5
"""A job whose worker dies is started again so often: with each time it is likelier that the job itself kills it."""
GPU_SHARE = 0.25
"""Of a GPU for one job: while one decodes or encodes, others use it."""
_LOOK_SECONDS = 1.0
_OBJECT_STORE_BYTES = 128 * 2**20  # results are small; Ray would take a third of the memory


@dataclass(frozen=True, slots=True)
class Needs:
    """What one job takes of a node."""

    cpus: int
    gpus: float

    def slots(self, nodes: Sequence[Mapping[str, Any]]) -> int:
        """How many jobs fit on these nodes (as `ray.nodes` tells them) at once."""
        return sum(self._on(node["Resources"]) for node in nodes if node["Alive"])

    def _on(self, resources: Mapping[str, float]) -> int:
        fit = int(resources.get("CPU", 0) // self.cpus)
        return min(fit, int(resources.get("GPU", 0) / self.gpus)) if self.gpus else fit


def needs_of(config: RunConfig, nodes: Sequence[Mapping[str, Any]]) -> Needs:
    """CPUs as the threads asked for, else so many that every node gets work; a part of a GPU where there are any."""
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    cores = [int(resources.get("CPU", 0)) for resources in alive]
    smallest = min((count for count in cores if count), default=1)
    may = config.device in ("auto", "cuda") and config.runtime in ("auto", "torch")
    must = config.device == "cuda"
    gpus = must or (may and any(resources.get("GPU") for resources in alive))
    return Needs(config.threads or min(CORES_PER_JOB, smallest), GPU_SHARE if gpus else 0.0)


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """The module `ray`, connected to a cluster.

    Args:
        address: "local" starts one on this machine for as long as the block lasts, "auto" takes the one that this
            machine belongs to, HOST:PORT is the head of one.
    Raises:
        ConfigError: Ray is not installed, or the address is none.
        DeviceError: there is no such cluster, or it does not fit this installation.
    """
    _check_address(address)
    ray = _import_ray()
    starts: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        _outlive_terminal()
        ray.init(address, log_to_driver=False, logging_level="ERROR", **(starts if address == "local" else {}))
    except Exception as error:  # of many kinds, from ConnectionError to ValueError
        raise DeviceError(f"--ray {address}: {_why_not(str(error))}") from None
    finally:
        _restore(handlers)  # Ray sets its own
    # Ray prints there, up to its last moment, that a node died, with pages of logs; `run_ray` tells what matters of it
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def staging_folder(out_dir: str, archive: Path, *, hidden: str) -> Iterator[str]:
    """A new folder for outputs under way; what an earlier batch with this archive left in its place is removed.

    Args:
        hidden: name of the batch's own folder in the output folder.
    Raises:
        SinkError: it cannot be made.
    """
    if is_remote(out_dir):
        url = f"{out_dir}/{hidden}/attempts/{os.getpid()}-{time.time_ns():x}"
        try:
            yield url  # made by the first attempt that is that far
        finally:
            remove_folder(url)
        return
    top = Path(out_dir, hidden, "attempts")
    mine = top / hashlib.sha256(os.fsencode(archive.resolve())).hexdigest()[:20]
    shutil.rmtree(mine, ignore_errors=True)
    folder = mine / f"{os.getpid()}-{time.time_ns():x}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise SinkError(f"{shown_name(out_dir)}: cannot be written ({error.strerror}); choose another place") from error
    try:
        yield str(folder)
    finally:
        shutil.rmtree(mine, ignore_errors=True)
        for empty in (top, top.parent):
            try:
                empty.rmdir()
            except OSError:
                break


def run_ray(
    ray: Any,
    jobs: Sequence[Job],
    engine: RunConfig,
    board: Board,
    hooks: Hooks,
    *,
    out_dir: str,
    staging: str,
    most: int | None,
    aborted: Callable[[], bool],
    note: Callable[[str], None],
) -> None:
    """Do the jobs in order, as many at once as fit on the cluster at that time; nodes may come and go.

    Args:
        engine: what the networks are loaded with.
        most: jobs at once; also lets more wait than fit now, for clusters that grow when they are asked to.
        aborted: when it turns true, the jobs under way end at once and leave nothing.
        note: told, in one sentence, when nodes went.
    Raises:
        DeviceError: no job fits on any node.
    """
    needs = needs_of(engine, ray.nodes())
    room = _Room(ray, needs, most, note)
    if not room.now():
        gpus = " and a GPU" if needs.gpus else ""
        raise DeviceError(f"no node of the cluster has {needs.cpus} CPUs{gpus}; give fewer --threads or --device cpu")
    network = replace(engine, threads=needs.cpus)
    progress = _Progress(ray, board)
    options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "scheduling_strategy": "SPREAD"}
    work = ray.remote(max_retries=ATTEMPTS_AGAIN, retry_exceptions=False, **options)(_work)
    waiting = iter(jobs)
    running: dict[Any, Job] = {}
    starting, cancelled = True, False
    while True:
        progress.look()
        room.look()
        starting = hooks.tick() and starting
        if aborted() and not cancelled:
            cancelled = True
            for ref in running:
                ray.cancel(ref, force=True)
        while starting and len(running) < max(1, room.now()):
            job = next(waiting, None)
            if job is None:
                starting = False
                break
            hooks.started(job)
            task = Task(job, network, out_dir, staging)
            running[work.remote(__version__, pickle.dumps(task), progress.actor)] = job
        if not running:
            return
        ready, _ = ray.wait(list(running), num_returns=1, timeout=TICK_SECONDS)
        for ref in ready:
            result = _result(ray, ref, running.pop(ref), cancelled=cancelled)
            board.rows[result.number].log.delivered = result.frames
            hooks.finished(result)


def _work(version: str, pickled: bytes, progress: Any) -> JobResult:
    return do_task(version, pickled, lambda number, told: progress.tell.remote(number, told))


class _Room:
    """How many jobs fit; asks the cluster once a second, and says when nodes went."""

    def __init__(self, ray: Any, needs: Needs, most: int | None, note: Callable[[str], None]) -> None:
        self._ray, self._needs, self._most, self._note = ray, needs, most, note
        self._next = 0.0
        self._slots = 0
        self._alive: set[str] = set()

    def look(self) -> None:
        """Ask the cluster, if it is time."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LOOK_SECONDS
        nodes = self._ray.nodes()
        self._slots = self._needs.slots(nodes)
        alive = {node["NodeID"] for node in nodes if node["Alive"]}
        gone = len(self._alive - alive)
        if gone:
            which = "a node is" if gone == 1 else f"{gone} nodes are"
            self._note(f"{which} gone from the cluster, {len(alive)} left; files in progress there are restarted")
        self._alive = alive

    def now(self) -> int:
        self.look()
        return self._slots if self._most is None else self._most


class _Progress:
    """Brings what workers tell to the board. Not to hear is no failure: then the table stands still."""

    def __init__(self, ray: Any, board: Board) -> None:
        self._ray, self._board = ray, board
        self.actor = ray.remote(num_cpus=0, max_restarts=-1)(ProgressBoard).remote()
        self._asked = self.actor.news.remote()
        self._next = 0.0

    def look(self) -> None:
        if time.monotonic() < self._next or not self._ray.wait([self._asked], timeout=0)[0]:
            return
        self._next = time.monotonic() + _LOOK_SECONDS
        try:
            news = self._ray.get(self._asked)
        except self._ray.exceptions.RayError:
            news = {}
        for number, told in news.items():
            row = self._board.rows[number]
            if row.state != "running":
                continue  # it ended since; the result says how far it came
            log = row.log
            log.delivered, log.total, log.rate = told.delivered, told.total, told.rate
        self._asked = self.actor.news.remote()


def _result(ray: Any, ref: Any, job: Job, *, cancelled: bool) -> JobResult:
    try:
        result: JobResult = ray.get(ref)
    except ray.exceptions.RayError as error:
        if cancelled:
            return JobResult(job.number, "stopped", "stopped by the user")
        return JobResult(job.number, "failed", _what_broke(ray, error))
    return result


def _what_broke(ray: Any, error: Exception) -> str:
    kinds = ray.exceptions
    if isinstance(error, kinds.OutOfMemoryError):
        return (
            "the worker ran out of memory; give fewer --jobs, or more --threads, so "
            "that each file gets a larger share of a node"
        )
    if isinstance(error, kinds.WorkerCrashedError | kinds.NodeDiedError):
        return f"its worker died {ATTEMPTS_AGAIN + 1} times; see Ray's logs on the nodes"
    text = str(error.cause if isinstance(error, kinds.RayTaskError) else error).strip()
    if "No module named" in text or "failed to import" in text:
        missing = next((line for line in reversed(text.splitlines()) if "No module named" in line), "an import failed")
        return f"a node cannot run vidseg ({shown_name(missing.strip())}); install it on all nodes"
    return shown_name((text.splitlines() or [type(error).__name__])[0])


def _import_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise ConfigError("--ray needs Ray, which is not installed; get it with pip install 'vidseg[ray]'") from None
    return ray


def _check_address(address: str) -> None:
    if address in ("local", "auto"):
        return
    host, colon, port = address.rpartition(":")
    if not host or not colon or not port.isdecimal() or "/" in host:
        raise ConfigError(
            f"--ray {shown_name(address)}: is not the address of a cluster; give local, auto or HOST:PORT"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=REACH_SECONDS).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise DeviceError(f"--ray {address}: no cluster answers ({error}); start one with `ray start --head`") from None


def _why_not(text: str) -> str:
    """Ray's reason in one line, with what to do where that is known."""
    if "Version mismatch" in text:
        details = " ".join(line.strip() for line in text.splitlines()[1:] if ":" in line)
        return f"the versions on the cluster differ from those of this Python; install the same ({details})"
    if "Could not find any running Ray instance" in text:
        return "this machine is not part of a cluster; start one with `ray start --head`, or join one with --address"
    if "Failed to connect to Ray" in text or "AuthToken" in text:
        return "the cluster refuses this program; if it requires a token, set RAY_AUTH_MODE=token (see Ray's docs)"
    if "node" in text.lower():
        first = (text.strip().splitlines() or [""])[0]
        return (
            f"this machine is not a node of the cluster ({first}); join it first with `ray start --address=HOST:PORT`"
        )
    return (text.strip().splitlines() or ["the cluster cannot be used"])[0]


def _outlive_terminal() -> None:
    """Let the processes that are started now ignore that a terminal closes: the batch finishes what is under way."""
    if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _restore(handlers: Mapping[signal.Signals, Any]) -> None:
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    except ValueError:
        return  # not the main thread: nothing was set there
