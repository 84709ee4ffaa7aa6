"""Wires datasets, network, trainer and validation into a training run."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from vidseg import zoo
from vidseg.commands.evaluate import PictureReporter
from vidseg.config import RunConfig
from vidseg.configure import checked
from vidseg.cores import usable_cores
from vidseg.data.folder import Content, FolderDataset, every_nth
from vidseg.data.formats.layout import Layout
from vidseg.data.formats.recognise import recognise
from vidseg.data.label_sets import merged_sets
from vidseg.data.label_values import parse_values, shares_text
from vidseg.data.mapping import read_mapping
from vidseg.data.mixture import rare_class_repeats
from vidseg.data.own_classes import check_ignore, own_classes, parse_ignore
from vidseg.errors import ConfigError
from vidseg.folder_lock import locked
from vidseg.frames import NO_LABEL
from vidseg.labels import LabelSet, ade20k
from vidseg.metrics import Scores
from vidseg.picture_size import MAX_PIXELS
from vidseg.runtimes.base import precision_name
from vidseg.runtimes.torch_runtime import pick_device
from vidseg.train.evaluate import confusion
from vidseg.train.initial import initial_model
from vidseg.train.session import CURVES, STATE, WEIGHTS, StepReporter, TrainingSession, Validation
from vidseg.train.settings import TrainSettings
from vidseg.train.trainer import Trainer
from vidseg.wiring.engine import set_threads
from vidseg.wiring.interrupts import Interrupts
from vidseg.wiring.network_input import NetworkInput, network_input

PRETRAINED = "pretrained"
"""As --init: the model's own bundled or published weights."""
CUDA_WORKERS = 12
"""At most so many processes read ahead for a GPU by default; a CPU needs its cores for the network."""


class TrainingReporter(PictureReporter, StepReporter, Protocol):
    """Told how training goes, from the first picture that is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """What to train on, where, and how; `settings` decides what is computed."""

    data: tuple[Path, ...]
    out: Path
    settings: TrainSettings
    labels: LabelSet | None = None
    """Of the classes, to be written into the weights; None: ADE20K's, or plain numbers."""
    classes_of_data: bool = False
    """The classes that the data sets name take the place of `labels` and `settings.classes`, where they name some."""
    init: str | None = None
    """A weights file, the name of a model, "pretrained", or None for random weights."""
    resume: bool = False
    val: Path | None = None
    val_mapping: str | None = None
    val_every: int = 500
    imgsz: int | None = None
    save_every: int = 200
    device: str = "auto"
    precision: str = "auto"
    half: bool = False
    threads: int | None = None
    workers: int | None = None
    max_pixels: int | None = None


@dataclass(frozen=True, slots=True)
class TrainOutcome:
    """How training ended. `scores` are the last measured, None without validation."""

    steps: int
    finished: bool
    weights: Path
    curves: Path
    scores: Scores | None
    exit_code: int


def train(request: TrainRequest, reporter: TrainingReporter) -> TrainOutcome:
    """Do what the request says. Cheap checks come first; every label file is read once before the first step.

    Raises:
        VidsegError: anything the user can mend.
    """
    if importlib.util.find_spec("scipy") is None:
        raise ConfigError("`vidseg train` needs scipy: install it, or vidseg[train]")
    entry = zoo.entry(request.settings.model)
    device = pick_device(request.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # else the thread that pins batches takes memory of the first
    wanted = checked("command line", {"precision": request.precision, "half": request.half})["precision"]
    precision = pick_training_precision(wanted, device)
    _check_options(request)
    layouts = [recognise(path, "train", request.labels) for path in request.data]
    val_layout = None if request.val is None else recognise(request.val, "val", request.labels)
    request = _with_classes(request, layouts)
    for layout in (*layouts, *filter(None, (val_layout,))):
        reporter.note(layout.line)
    datasets = [_dataset(request, layout, _all_but_every(nth)) for layout, nth in _with_holdout(request, layouts)]
    size = network_input(RunConfig(model=entry.name, imgsz=request.imgsz), device)
    validation = _validation(request, layouts, val_layout, size)
    try:
        request.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{request.out}: cannot be created as a folder ({error.strerror}); choose another --out"
        ) from None
    set_threads(request.threads)
    with locked(request.out):
        resuming = request.resume and (request.out / STATE).exists()
        model = initial_model(
            entry.name,
            None if resuming else _init_path(request, entry, reporter),
            num_classes=request.settings.classes,
            seed=request.settings.seed,
            announce=reporter.note,
        )
        sets, _ = merged_sets([dataset.label_sets for dataset in datasets], request.settings.classes)
        trainer = Trainer(model, request.settings, device, precision, sets)
        session = TrainingSession(
            trainer,
            datasets,
            request.out,
            device=device,
            save_every=request.save_every,
            validation=validation,
            validate_every=request.val_every,
            workers=_workers(request, device),
            resume=request.resume,
            init=_init_name(request, entry),
            labels=request.labels,
        )
        if request.resume:
            reporter.note(f"resuming after step {trainer.step}" if resuming else f"nothing to resume in {request.out}")
        contents = _check_pictures(datasets, request, reporter)
        if request.settings.balance:
            session.repeats = [rare_class_repeats(each.pictures, request.settings.balance) for each in contents]
        validation = session.validation = _with_labels(validation, request, reporter)
        pictures = " + ".join(f"{len(dataset)} of {dataset.folder}" for dataset in datasets)
        reporter.note(f"training {entry.name} on {pictures}, {device}, {precision_name(precision)}")
        if validation is not None and request.val is None:
            count = sum(len(dataset) for dataset in validation.datasets)
            reporter.note(f"measuring on the {count} held-out images every {request.val_every} steps and at the end")
        if request.settings.rising_steps != request.settings.warmup:
            steps, warmup, rising = request.settings.steps, request.settings.warmup, request.settings.rising_steps
            reporter.note(
                f"--warmup {warmup} is not shorter than the run of {steps} steps, "
                f"so the learning rate rises for {rising}"
            )
        with Interrupts(tell=reporter.note) as interrupts:
            finished = session.run(reporter, lambda: interrupts.count > 0)
            exit_code = 0 if finished else interrupts.exit_code
    out = request.out
    return TrainOutcome(trainer.step, finished, out / WEIGHTS, out / CURVES, session.last_scores, exit_code)


def pick_training_precision(name: str, device: torch.device) -> torch.dtype:
    """The number format of the forward pass: "auto" is bfloat16 or float16 on CUDA, float32 elsewhere.

    A CPU does bfloat16 when asked: with AVX512-BF16 or AMX a step takes two thirds of the time, without it is slower.

    Raises:
        ConfigError: a format that the device does not have.
    """
    if name == "auto":
        if device.type != "cuda":
            return torch.float32
        # older ones emulate it, slower than float32, and torch.cuda.is_bf16_supported() still says yes
        computes = torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if computes else torch.float16
    if name == "half":
        name = "float16" if device.type == "cuda" else "bfloat16"
    known = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
    if name not in known:
        raise ConfigError(f"--precision is {name!r}; accepted: auto, {', '.join(known)}")
    on_cpu = device.type == "cpu" and known[name] == torch.bfloat16
    if known[name] != torch.float32 and device.type != "cuda" and not on_cpu:
        accepted = "float32 or bfloat16" if device.type == "cpu" else "float32"
        raise ConfigError(f"--precision {name} needs CUDA for training; on {device.type} use {accepted}")
    return known[name]


def _check_options(request: TrainRequest) -> None:
    """Raises ConfigError for numbers out of range, or not one for each dataset."""
    for name in ("val_every", "save_every"):
        if getattr(request, name) < 1:
            raise ConfigError(f"--{name.replace('_', '-')} is {getattr(request, name)}; accepted: 1 or more")
    checked("command line", {name: getattr(request, name) for name in ("threads", "imgsz", "max_pixels")})
    if request.workers is not None and not 0 <= request.workers <= 256:
        raise ConfigError(f"--workers is {request.workers}; accepted: a whole number from 0 to 256")
    mix, holdout, count = request.settings.mix, request.settings.holdout, len(request.data)
    if mix is not None and len(mix) != count:
        raise ConfigError(f"--mix has {len(mix)} numbers for {count} datasets; give one for each")
    if len(holdout) not in (1, count):
        raise ConfigError(f"--holdout has {len(holdout)} numbers for {count} datasets; give one, or one for each")


def _with_classes(request: TrainRequest, layouts: list[Layout]) -> TrainRequest:
    """The same, with the classes that the data sets name where these are wanted. Raises ConfigError for --ignore."""
    ignore = parse_ignore(request.settings.ignore)
    own = own_classes(layouts, ignore) if request.classes_of_data else None
    if own is not None:
        request = replace(request, labels=own, settings=replace(request.settings, classes=len(own)))
    check_ignore(ignore, layouts, _labels(request))
    return request


def _labels(request: TrainRequest) -> LabelSet | None:
    """The classes with their names; None where they are numbers."""
    return request.labels or (ade20k() if request.settings.classes == len(ade20k()) else None)


def _dataset(request: TrainRequest, layout: Layout, keep: Callable[[int, str], bool]) -> FolderDataset:
    classes, text = request.settings.classes, request.settings.values
    most = MAX_PIXELS if request.max_pixels is None else request.max_pixels
    return FolderDataset(
        layout,
        num_classes=classes,
        keep=keep,
        values=parse_values(text, classes) if text and layout.values else None,
        max_pixels=most,
        labels=_labels(request),
        ignore=parse_ignore(request.settings.ignore),
    )


def _with_holdout(request: TrainRequest, layouts: list[Layout]) -> list[tuple[Layout, int]]:
    """The data sets to train on, and every how many-th picture of each is held out."""
    holdout = request.settings.holdout * (len(layouts) if len(request.settings.holdout) == 1 else 1)
    return list(zip(layouts, holdout, strict=True))


def _check_pictures(datasets: list[FolderDataset], request: TrainRequest, reporter: TrainingReporter) -> list[Content]:
    """What is in the labels; also told. Raises ConfigError for a bad file, and where nothing can be learnt."""
    contents = [dataset.check(reporter.checking) for dataset in datasets]
    folders = ", ".join(str(dataset.folder) for dataset in datasets)
    pixels = np.sum([content.pixels for content in contents], axis=0)
    found = frozenset[int]().union(*(content.classes for content in contents))
    count = request.settings.classes
    labels = _labels(request)
    names = labels.names if labels is not None else tuple(f"class {number}" for number in range(count))
    if not any(content.soft for content in contents):
        if not found:
            raise ConfigError(f"{folders}: no pixel has a label; nothing can be learnt{_advice(pixels)}")
        if len(found) == 1 and count > 1:
            others = "the other class does not occur" if count == 2 else f"the {count - 1} other classes do not occur"
            only = min(found)
            name = names[only] if only < len(names) else f"value {only}"  # that stands for several classes
            raise ConfigError(f"{folders}: all labels are {name}, {others}; nothing can be learnt{_advice(pixels)}")
    reporter.note(f"labels: {shares_text(pixels, names)}")
    return contents


def _advice(pixels: npt.NDArray[np.int64]) -> str:
    """What to do where the pixels without a label may be a class of their own; empty where there are none."""
    if not pixels[NO_LABEL]:
        return ""
    return f"; {NO_LABEL} means no label: if it stands for a class, say which, e.g. --values {NO_LABEL}=1"


def _with_labels(validation: Validation | None, request: TrainRequest, reporter: TrainingReporter) -> Validation | None:
    """The same; None where it is of held-out pictures without labels, which nobody asked to have measured.

    Raises:
        ConfigError: a bad file, or `val` has no labels.
    """
    if validation is None:
        return None
    for dataset in validation.datasets:
        values = list(dataset.check(reporter.checking).classes)
        counts = np.zeros((256, request.settings.classes + 1), dtype=np.int64)
        counts[values] = 1
        if confusion(counts, dataset, validation.mapping).any():
            return validation
    folders = ", ".join(str(dataset.folder) for dataset in validation.datasets)
    reason = f"{folders}: no pixel has a label of the measured classes; nothing can be measured"
    if request.val is not None:
        raise ConfigError(reason)
    reporter.note(f"of the images held out in {reason}")
    return None


def _workers(request: TrainRequest, device: torch.device) -> int:
    if request.workers is not None:
        return request.workers
    return min(CUDA_WORKERS, usable_cores() - 1) if device.type == "cuda" else 0


def _all_but_every(nth: int) -> Callable[[int, str], bool]:
    """Says which pictures stay when those of `every_nth` are held out; 0 holds out none."""
    return lambda number, _: nth == 0 or number % nth != 0


def _validation(
    request: TrainRequest, layouts: list[Layout], val: Layout | None, size: NetworkInput
) -> Validation | None:
    """Of the pictures in `val`, or else of those held out, where there are any."""
    measured = [(val, 1)] if val is not None else [each for each in _with_holdout(request, layouts) if each[1]]
    if not measured:
        if request.val_mapping is not None:
            raise ConfigError(f"--val-mapping {request.val_mapping}: nothing is measured; give --val or --holdout too")
        return None
    mapping = None if request.val_mapping is None else read_mapping(request.val_mapping)
    if mapping is not None and (request.labels not in (None, ade20k()) or request.settings.classes != len(ade20k())):
        raise ConfigError(f"--val-mapping {request.val_mapping}: maps ADE20K's classes, but this model has others")
    datasets = [_dataset(request, layout, every_nth(nth)) for layout, nth in measured]
    return Validation(tuple(datasets), mapping, size.imgsz, size.pictures)


def _init_entry(request: TrainRequest, entry: zoo.ModelEntry) -> zoo.ModelEntry | None:
    """The model whose weights --init names; None for a file or nothing."""
    if request.init == PRETRAINED:
        return entry
    return next((known for known in zoo.entries() if request.init in (known.name, *known.aliases)), None)


def _init_name(request: TrainRequest, entry: zoo.ModelEntry) -> str | None:
    """What --init says, the same for all ways to say it."""
    if request.init is None:
        return None
    named = _init_entry(request, entry)
    return named.name if named is not None else str(Path(request.init).resolve())


def _init_path(request: TrainRequest, entry: zoo.ModelEntry, reporter: TrainingReporter) -> Path | None:
    if request.init is None:
        return None
    named = _init_entry(request, entry)
    if named is None:
        return Path(request.init)
    return zoo.ensure(named, announce=reporter.note, progress=reporter.download)
