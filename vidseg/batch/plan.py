"""What a batch will do: turns inputs and settings into jobs, and finds those already done. Writes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import string
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from vidseg.batch.archive import Archive, Record
from vidseg.batch.identity import is_remote, known_as, plain_path
from vidseg.batch.inputs import Input
from vidseg.batch.job import Job, is_there, outputs_of
from vidseg.config import SINGLE_RUN_OPTIONS, RunConfig
from vidseg.errors import ConfigError
from vidseg.names import shown_name
from vidseg.runtimes.model_file import read_model_file
from vidseg.runtimes.model_format import is_model_file
from vidseg.sinks.image_sink import ALPHA_ENDINGS, IMAGE_ENDINGS
from vidseg.sources.image_source import is_picture
from vidseg.wiring.input_files import Identity, identity_of
from vidseg.zoo.download import file_sha256

DEFAULT_NAME = "{stem}_annotated{ext}"
DEFAULT_CONTAINER = "mp4"
DEFAULT_MATTE_CONTAINER = "mov"

_SAMPLE = {"stem": "a", "name": "a.mp4", "ext": ".mp4", "parent": "a", "index": 1, "date": "2000-01-01"}
_NO_EFFECT = SINGLE_RUN_OPTIONS | {
    *("preset", "device", "runtime", "batch", "threads", "rtsp_transport", "timeout", "hwaccel"),
    *("overwrite", "quiet", "verbose", "trust_model"),
}
"""Options that leave the outputs as they are, but for rounding. Every other one makes outputs stale when it changes."""


class NameTemplate:
    """File names made of fields: {stem} {name} {ext} {parent} {index} {date}, e.g. "{stem}_{index:03}{ext}"."""

    def __init__(self, text: str, option: str) -> None:
        """Raises ConfigError for an unknown field, a bad format, or a path that leaves the output folder."""
        self._text = text
        self._option = option
        known = " ".join(f"{{{name}}}" for name in _SAMPLE)
        try:
            for _, field, _, conversion in string.Formatter().parse(text):
                if (field is not None and field not in _SAMPLE) or conversion:
                    raise ConfigError(f"{option} {text!r}: unknown field {{{field}}}; known: {known}")
            self._check(text.format(**_SAMPLE))
        except (ValueError, KeyError, IndexError) as error:
            raise ConfigError(f"{option} {text!r}: is not a name template ({error}); fields: {known}") from None

    def fill(self, **fields: str | int) -> str:
        """The name, relative to the output folder; may hold folders. Raises ConfigError as the constructor."""
        clean = {key: value.replace("/", "_") if isinstance(value, str) else value for key, value in fields.items()}
        return self._check(self._text.format(**clean))

    @property
    def has_fields(self) -> bool:
        """False where every input would get the same name."""
        return self._text != self._text.format(**_SAMPLE)

    def __str__(self) -> str:
        return f"{self._option} {self._text}"

    def sample(self, container: str) -> str:
        """The name that some input would get."""
        return self._text.format(**_SAMPLE | {"ext": f".{container}"})

    def _check(self, name: str) -> str:
        if os.path.isabs(name) or "\0" in name or {"", ".", ".."} & set(name.rstrip("/").split("/")):
            raise ConfigError(
                f"{self._option} {self._text!r}: gives {shown_name(name)!r}, which is "
                "outside the output folder; give a name inside it"
            )
        return name


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one job."""

    job: Job
    action: Literal["do", "skip", "fail"]
    reason: str = ""
    """Why it is skipped, is not possible, or is done again."""
    record: Record | None = None
    """What the archive knows of it."""


def make_jobs(
    inputs: Sequence[Input], config: RunConfig, *, out_dir: str, name: str | None, container: str
) -> list[Job]:
    """One job for every input, with the names of all its outputs.

    Args:
        config: settings of all; the values of its data outputs (`save_masks`, `stats`, ...) are templates too.
        out_dir: absolute, or a URL.
        name: template of the video; None writes none.
        container: the {ext} of templates without the dot, e.g. "mp4"; that of a picture is a picture's.
    Raises:
        ConfigError: a template is wrong, or two names collide: of two outputs, or of an output and an input.
    """
    templates = {
        option: NameTemplate(text, "--" + option.replace("_", "-"))
        for option, text in outputs_of(replace(config, output=None)).items()
    }
    if name is not None:
        templates["output"] = NameTemplate(name, "--name")
    jobs = []
    for index, item in enumerate(inputs, start=1):
        plain = plain_path(item.path)
        base = os.path.basename(plain)
        modified = item.identity.mtime_ns / 1e9 if item.identity else 0.0
        fields: dict[str, str | int] = {
            "stem": os.path.splitext(base)[0],
            "name": base,
            "ext": _ending(item.path, container, alpha=bool(config.matte)),
            "parent": os.path.basename(os.path.dirname(plain)) or "root",
            "index": index,
            "date": time.strftime("%Y-%m-%d", time.localtime(modified)),
        }
        made = {key: os.path.join(out_dir, item.folder, each.fill(**fields)) for key, each in templates.items()}
        settings = replace(config, source=item.path, **made)  # type: ignore[arg-type]
        if is_picture(plain):
            settings = replace(
                settings, codec=None, crf=None, encoder_preset=None, fps=None
            )  # for the videos beside it
        jobs.append(Job(index, item.name, settings, item.identity))
    _refuse_collisions(jobs, {key: str(each) for key, each in templates.items() if not each.has_fields})
    return jobs


def _ending(path: str, container: str, *, alpha: bool) -> str:
    """What the output of an input ends with: pictures stay pictures, as they are where that can be written."""
    if not is_picture(path):
        return f".{container}"
    ending = os.path.splitext(plain_path(path))[1].casefold()
    return ending if ending in (ALPHA_ENDINGS if alpha else IMAGE_ENDINGS) else ".png"


def drop_own_outputs(inputs: Sequence[Input], archive: Archive, out_dir: str) -> tuple[list[Input], list[str]]:
    """The inputs without those that an earlier batch into this folder made, and the paths of these."""
    kept: list[Input] = []
    dropped: list[str] = []
    for item in inputs:
        made = archive.maker(_relative(item.path, out_dir)) is not None
        if made:
            dropped.append(item.name)
        else:
            kept.append(item)
    return kept, dropped


def settings_digest(config: RunConfig, size: str) -> str:
    """A short text that changes when the outputs of the same input would.

    Args:
        size: of what the network sees here, in words.
    Raises:
        ConfigError: the network file or the weights cannot be read.
    """
    paths = outputs_of(config)
    values = {key: value for key, value in asdict(config).items() if key not in _NO_EFFECT and key not in paths}
    values |= {"imgsz": size, "short_side": None}
    if config.weights:
        values["weights"] = _digest(config.weights)
    if is_model_file(config.model):
        file = read_model_file(config.model, config.label_set)
        values["model"] = [*map(_digest, file.files), file.labels.names, file.labels.palette.tolist()]
    values["outputs"] = sorted(paths)
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _digest(path: str | Path) -> str:
    try:
        return file_sha256(Path(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); give a readable file") from error


def decide(
    job: Job,
    identity: Identity | None,
    settings: str,
    archive: Archive,
    *,
    out_dir: str,
    outputs_may_be_gone: bool = False,
    retry_failed: bool = False,
    redo: bool = False,
    identify: Callable[[str], Identity | None] = identity_of,
    exists: Callable[[str], bool] = is_there,
) -> Decision:
    """Whether a job is to be done.

    Done is what the archive says was done with the same input and settings, while its outputs are still there.
    Outputs that this archive knows as made from the same input, and that nobody changed since, are replaced when
    they are out of date; any other file needs `overwrite`.

    Args:
        identity: of the input now.
        settings: digest of the settings now.
        outputs_may_be_gone: what was done counts, wherever its outputs are now.
        retry_failed: also do what failed because of its input before.
        redo: do again what is done.
    """
    real = known_as(job.source)
    outputs = {_relative(path, out_dir): path for path in job.outputs.values()}
    record = archive.find(real, settings)
    why = ""
    if record is not None and not redo and record.identity == identity:
        if record.state == "done":
            if outputs_may_be_gone:
                return Decision(job, "skip", "done before", record)
            why = _what_is_missing(record, outputs, archive, exists)
            if not why:
                return Decision(job, "skip", "done before", record)
        elif record.state == "failed" and record.input_fault and not retry_failed:
            return Decision(job, "fail", f"{record.reason}; not retried, unless with --retry-failed", record)
        else:
            why = "failed before" if record.state == "failed" else "was interrupted"
    elif redo and record is not None:
        why = "--redo"
    elif record is None and (last := archive.last(real)) is not None and last.state == "done":
        why = "other settings"
    for relative, path in outputs.items():
        if not exists(path):
            continue
        maker = archive.maker(relative)
        ours = maker is not None and maker.source == real
        if maker is not None and ours and maker.state != "started":
            known = maker.outputs[relative]
            ours = known is None or known == identify(path)
            changed = "the input changed" if maker.identity != identity else "other settings"
            why = why or changed
        if not ours and not job.config.overwrite:
            return Decision(
                job, "fail", f"{shown_name(path)} exists, but was not made from this input; -y replaces it", record
            )
    may_replace = replace(job.config, overwrite=True) if any(map(exists, outputs.values())) else job.config
    return Decision(replace(job, config=may_replace), "do", f"again: {why}" if why else "", record)


def _what_is_missing(
    record: Record, outputs: Mapping[str, str], archive: Archive, exists: Callable[[str], bool]
) -> str:
    """Why what was done does not count any more; empty if it does."""
    for relative, path in outputs.items():
        if relative not in record.outputs:
            return "other output names"
        if not exists(path):
            return f"{shown_name(os.path.basename(path))} is missing"
        maker = archive.maker(relative)
        if maker is not None and maker.settings != record.settings:
            return "made with other settings since then"
    return ""


def _relative(path: str, out_dir: str) -> str:
    """The name of an output in the archive: the same when the folder is moved with everything in it."""
    if is_remote(path) or is_remote(out_dir):
        return known_as(path).removeprefix(known_as(out_dir) + "/")
    return os.path.relpath(os.path.realpath(path), os.path.realpath(out_dir))


def relative_outputs(outputs: dict[str, Identity | None], out_dir: str) -> dict[str, Identity | None]:
    """Absolute output paths or URLs turned into the names that the archive uses."""
    return {_relative(path, out_dir): identity for path, identity in outputs.items()}


def _refuse_collisions(jobs: Sequence[Job], fixed: Mapping[str, str]) -> None:
    """Args: fixed: options, and how they were given, whose names have no field."""
    owners: dict[str, Job] = {}
    sources = {known_as(job.source): job for job in jobs}
    for job in jobs:
        for key, path in job.outputs.items():
            real = known_as(path)
            owner = owners.setdefault(real, job)
            if owner is not job or list(map(known_as, job.outputs.values())).count(real) > 1:
                both = shown_name(job.name) if owner is job else f"{shown_name(owner.name)} and {shown_name(job.name)}"
                what, how = shown_name(path), "use {name}, {parent} or {index} in the name templates"
                if key in fixed and owner is not job:
                    what, how = fixed[key], "put {stem} into the name, such as '{stem}_masks' or '{stem}.csv'"
                raise ConfigError(f"{what}: would be written twice, for {both}; {how}")
            if real in sources:
                raise ConfigError(
                    f"{shown_name(path)}: is an input and would be an output of {shown_name(job.name)}; "
                    "choose another output folder or --name"
                )
