"""A batch in progress: runs the jobs of a plan, records what is done, and reports."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from vidseg.atomic import write_whole_file
from vidseg.batch.archive import Archive, Record
from vidseg.batch.board import Board, Row
from vidseg.batch.identity import is_remote, known_as
from vidseg.batch.inputs import Found
from vidseg.batch.job import Job, JobResult
from vidseg.batch.local import load_engines, run_local
from vidseg.batch.plan import Decision, relative_outputs
from vidseg.batch.prepare import HIDDEN_FOLDER, BatchOptions, Plan, state_folder
from vidseg.batch.ray_cluster import connected, run_ray, staging_folder
from vidseg.batch.remote_files import upload
from vidseg.batch.report import BatchReport, write_report
from vidseg.batch.report_page import FileReport
from vidseg.batch.resources import automatic_jobs, devices_for
from vidseg.config import RunConfig
from vidseg.cores import usable_cores
from vidseg.errors import WriteError
from vidseg.memory import free_memory
from vidseg.names import counted
from vidseg.sources.image_source import is_picture
from vidseg.wiring.engine import check_engine, input_size
from vidseg.wiring.input_files import identity_of
from vidseg.wiring.interrupts import Interrupts
from vidseg.wiring.network_cores import MOST_REQUESTS
from vidseg.wiring.network_input import NetworkInput, published_advice, same_everywhere
from vidseg.wiring.reporter import Reporter


class BatchReporter(Reporter, Protocol):
    """Told how a batch goes besides."""

    def batch_progress(self, board: Board) -> None:
        """About ten times a second."""
        ...

    def job_done(self, row: Row, board: Board) -> None:
        """A job ended well."""
        ...

    def input_failed(self, name: str, reason: str) -> None:
        """An input cannot be used, or its job failed or was stopped."""
        ...


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """How a batch ended."""

    plan: Plan
    report: BatchReport | None
    """None for a dry run."""
    written: tuple[str, ...] = ()
    """The files of the report, or their URLs."""
    exit_code: int = 0


class BatchRun:
    """One batch under way. Satisfies `local.Hooks`."""

    def __init__(
        self,
        config: RunConfig,
        options: BatchOptions,
        plan: Plan,
        archive: Archive,
        out_dir: str,
        reporter: BatchReporter,
    ) -> None:
        self._config = config
        self._options = options
        self._plan = plan
        self._archive = archive
        self._out_dir = out_dir
        self._reporter = reporter
        self._interrupts = Interrupts(abandon=archive.close, tell=reporter.note)
        self._told_interrupts = 0
        self._failed = False
        self._trouble = False
        self._results: dict[int, JobResult] = {}
        self._board = Board([_row(item) for item in plan.decisions])

    def run(self) -> BatchOutcome:
        """Do what is to be done, and report."""
        began = datetime.now().astimezone().isoformat(timespec="seconds")
        start = time.monotonic()
        for bad in self._plan.found.unusable:
            self._reporter.input_failed(bad.name, bad.reason)
        for row in self._board.rows.values():
            if row.state == "failed":
                self._reporter.input_failed(row.job.name, row.reason)
        jobs = [item.job for item in self._plan.decisions if item.action == "do"]
        folders = _folders_to_make(jobs)
        with self._interrupts:
            try:
                if jobs:
                    self._do(jobs)
            finally:
                _remove_empty(folders)
        seconds = time.monotonic() - start
        files = (*(self._file(item) for item in self._plan.decisions), *_unusable_files(self._plan.found))
        report = BatchReport(files, self._config, began, seconds)
        written: list[str] = []
        if self._options.report:
            try:
                written = self._write_report(report)
            except (OSError, WriteError) as error:
                self._note_trouble(f"no report: {error}")
        return BatchOutcome(self._plan, report, tuple(written), self._exit_code(report))

    def _write_report(self, report: BatchReport) -> list[str]:
        if not is_remote(self._out_dir):
            out = Path(self._out_dir)
            out.mkdir(parents=True, exist_ok=True)  # with --archive nothing else needs it where nothing is made
            return [str(path) for path in write_report(report, out)]
        with tempfile.TemporaryDirectory(prefix="vidseg-") as folder:
            paths = write_report(report, Path(folder))
            return list(upload({str(path): f"{self._out_dir}/{path.name}" for path in paths}))

    def _do(self, jobs: Sequence[Job]) -> None:
        if self._options.ray is not None:
            self._do_on_ray(jobs, self._options.ray)
            return
        devices = devices_for(self._config)
        memory, _ = free_memory() or (None, "")
        workers = self._options.jobs or automatic_jobs(usable_cores(), memory, len(devices))
        workers = min(workers, len(jobs))
        most = workers if all(is_picture(job.source) for job in jobs) else MOST_REQUESTS
        engines = load_engines(self._config, devices[:workers], self._reporter, most=most)
        engine = engines[0]
        on = engine.runtime.name if len(engines) == 1 else f"{len(engines)} devices"
        files = counted(len(jobs), "file")
        self._reporter.detail(f"model {engine.model}, {on}, {engine.size}; {files}, {workers} at a time")
        self._advise(jobs, engine.model, engine.size)
        self._begin(engine.model)
        run_local(jobs, engines, self._board, self, workers=workers, aborted=lambda: self._interrupts.count >= 2)

    def _advise(self, jobs: Sequence[Job], model: str, size: NetworkInput) -> None:
        advice = published_advice(model, size)
        if advice is not None and not all(is_picture(job.source) for job in jobs):
            self._reporter.note(advice)

    def _do_on_ray(self, jobs: Sequence[Job], address: str) -> None:
        config = self._config
        size, device = input_size(config), check_engine(config)[0]
        jobs = [  # of one size on every kind of node
            replace(job, config=same_everywhere(job.config, device, still=is_picture(job.source))) for job in jobs
        ]
        with (
            connected(address) as ray,
            staging_folder(self._out_dir, self._archive.path, hidden=HIDDEN_FOLDER) as staging,
        ):
            self._reporter.detail(f"model {config.model}, Ray cluster {address}, {size}")
            self._advise(jobs, config.model, size)
            self._begin(config.model)
            run_ray(
                ray,
                jobs,
                config,
                self._board,
                self,
                out_dir=self._out_dir,
                staging=staging,
                most=self._options.jobs,
                aborted=lambda: self._interrupts.count >= 2,
                note=self._reporter.note,
            )

    def _begin(self, model: str) -> None:
        if self._config.blur_classes:
            self._reporter.note(f"what {model} misses stays visible; check the results before you publish them")
        self._interrupts.started()
        self._board.started()

    # hooks of the executor

    def started(self, job: Job) -> None:
        self._board.rows[job.number].state = "running"
        identity = job.listed if is_remote(job.source) else identity_of(job.source)
        if identity is not None:
            outputs = relative_outputs(dict.fromkeys(job.outputs.values()), self._out_dir)
            self._remember(Record(known_as(job.source), identity, self._plan.settings, "started", outputs))

    def finished(self, result: JobResult) -> None:
        row = self._board.rows[result.number]
        row.state, row.reason = result.state, result.reason
        self._results[result.number] = result
        self._failed = self._failed or result.state == "failed"
        if result.identity is not None and result.state != "stopped":
            self._remember(
                Record(
                    known_as(row.job.source),
                    result.identity,
                    self._plan.settings,
                    result.state,
                    relative_outputs(result.outputs, self._out_dir),
                    result.reason,
                    result.input_fault,
                    _details(result),
                )
            )
        if result.strip and self._options.report:
            try:
                self._strip_path(row.job).parent.mkdir(parents=True, exist_ok=True)
                write_whole_file(self._strip_path(row.job), result.strip)
            except (OSError, WriteError):
                pass  # a picture of a report; what is wrong with the disk shows elsewhere
        if row.state == "done":
            self._reporter.job_done(row, self._board)
        else:
            self._reporter.input_failed(row.job.name, row.reason)

    def tick(self) -> bool:
        count = self._interrupts.count
        if count > self._told_interrupts:
            self._told_interrupts = count
            if count == 1:
                self._reporter.note("stopping: finishing the files in progress; press Ctrl+C again to abort them")
        self._reporter.batch_progress(self._board)
        return count == 0 and not (self._failed and not self._options.keep_going)

    # records and results

    def _remember(self, record: Record) -> None:
        try:
            self._archive.add(record)
        except WriteError as error:
            self._note_trouble(f"finished files cannot be recorded: {error}")

    def _note_trouble(self, text: str) -> None:
        if not self._trouble:
            self._reporter.problem(text)
        self._trouble = True

    def _file(self, decision: Decision) -> FileReport:
        job, record = decision.job, decision.record
        result = self._results.get(job.number)
        if result is not None:
            outputs = tuple(relative_outputs(result.outputs, self._out_dir))
            strip = result.strip
            return FileReport(job.name, result.state, result.reason, outputs, _details(result), strip)
        if decision.action == "do":
            return FileReport(job.name, "not started", "the batch ended before its turn")
        state = "skipped" if decision.action == "skip" else "failed"
        if record is None:
            return FileReport(job.name, state, decision.reason)
        try:
            strip = self._strip_path(job).read_bytes()
        except OSError:
            strip = b""
        return FileReport(job.name, state, decision.reason, tuple(record.outputs), record.details, strip)

    def _strip_path(self, job: Job) -> Path:
        key = f"{known_as(job.source)}\0{self._plan.settings}".encode("utf-8", "surrogateescape")
        return state_folder(self._out_dir) / "pictures" / (hashlib.sha256(key).hexdigest()[:20] + ".jpg")

    def _exit_code(self, report: BatchReport) -> int:
        totals = report.totals()
        if self._interrupts.count:
            return self._interrupts.exit_code
        return int(self._trouble or any(totals.get(state) for state in ("failed", "stopped", "not started")))


def _row(decision: Decision) -> Row:
    identity = decision.job.listed
    row = Row(decision.job, identity.size if identity else 0, reason=decision.reason)
    if decision.action != "do":
        row.state = "skipped" if decision.action == "skip" else "failed"
    return row


def _details(result: JobResult) -> dict[str, object]:
    return {
        "frames": result.frames,
        "seconds": round(result.seconds, 2),
        "video_seconds": round(result.video_seconds, 3),
        "notes": list(result.notes),
        "counters": result.counters,
        "shares": result.shares,
        **({"trace": result.trace} if result.trace else {}),
    }


def _unusable_files(found: Found) -> list[FileReport]:
    return [FileReport(item.name, "failed", item.reason) for item in found.unusable]


def _folders_to_make(jobs: Sequence[Job]) -> list[str]:
    """Folders of outputs that are not there yet, deepest first."""
    missing: set[str] = set()
    for job in jobs:
        for path in job.outputs.values():
            folder = os.path.dirname(path)
            while (
                not is_remote(path)
                and folder not in missing
                and not os.path.isdir(folder)
                and folder != os.path.dirname(folder)
            ):
                missing.add(folder)
                folder = os.path.dirname(folder)
    return sorted(missing, key=len, reverse=True)


def _remove_empty(folders: Sequence[str]) -> None:
    """Remove those that nothing was written into."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except OSError:
            continue
