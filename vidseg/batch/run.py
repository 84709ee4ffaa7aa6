"""A batch from its options to its report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from vidseg.batch.archive import Archive
from vidseg.batch.identity import is_remote
from vidseg.batch.inputs import find_inputs
from vidseg.batch.prepare import BatchOptions, check_options, make_plan, state_folder
from vidseg.batch.work import BatchOutcome, BatchReporter, BatchRun
from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.wiring.reporter import Reporter


def run_batch(
    config: RunConfig, options: BatchOptions, reporter: BatchReporter, *, stdin: Callable[[], bytes]
) -> BatchOutcome:
    """Do everything that is not done yet, and say what could not be.

    Wrong options, name templates and archives are told before a network is loaded or anything is written.

    Args:
        config: settings of every run.
        stdin: reads all of standard input, for a list.
    Raises:
        VidsegError: nothing can be done at all. What goes wrong with one input is in the outcome.
    """
    check_options(config, options)
    out_dir = options.out_dir.rstrip("/")
    if not is_remote(out_dir):
        out_dir = os.path.abspath(os.path.expanduser(options.out_dir))
    found = find_inputs(
        options.inputs,
        lists=options.lists,
        patterns=options.patterns,
        null=options.null,
        out_dir=out_dir,
        stdin=stdin,
    )
    if not found.inputs and not found.unusable:
        raise ConfigError("no inputs; give files, folders, globs, --list FILE, or - for a list on standard input")
    path = Path(options.archive).expanduser() if options.archive else state_folder(out_dir) / "archive.jsonl"
    with Archive(path, write=False) as archive:
        plan = make_plan(config, options, found, archive, out_dir)
        if options.dry_run:
            _tell(reporter, [*plan.found.notes, *archive.notes])
            bad = bool(found.unusable) or any(item.action == "fail" for item in plan.decisions)
            return BatchOutcome(plan, None, exit_code=int(bad))
    with Archive(path, write=True) as archive:
        plan = make_plan(config, options, found, archive, out_dir)  # another batch may have ended since
        _tell(reporter, [*plan.found.notes, *archive.notes, *plan.remarks()])
        return BatchRun(config, options, plan, archive, out_dir, reporter).run()


def _tell(reporter: Reporter, notes: Sequence[str]) -> None:
    for text in notes:
        reporter.note(text)
