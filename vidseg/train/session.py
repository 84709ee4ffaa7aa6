"""A training run in a folder: steps, checkpoints, measurements, curves; can be killed and resumed.

The folder holds `last.pt` (all that is needed to go on), `weights.safetensors` (averaged, half precision, for
`--weights`), `curves.png` and `history.json`.
"""

from __future__ import annotations

import copy
import json
import math
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from vidseg import zoo
from vidseg.atomic import write_whole_file
from vidseg.data.augment import AugmentOptions
from vidseg.data.folder import FolderDataset
from vidseg.data.mapping import ClassMapping
from vidseg.data.mixture import Mixture
from vidseg.errors import CheckpointError, ConfigError, TrainingError, first_sentence
from vidseg.frames import FloatArray
from vidseg.labels import LabelSet
from vidseg.metrics import Scores, scores
from vidseg.render.curves import curves_png
from vidseg.runtimes.base import precision_name
from vidseg.runtimes.model_format import InputFormat
from vidseg.runtimes.torch_runtime import TorchRuntime
from vidseg.segmentation.segmenter import QuerySegmenter
from vidseg.train.batches import Batch, batches
from vidseg.train.checkpoint import load_state, save_state
from vidseg.train.evaluate import confusion, evaluate
from vidseg.train.trainer import Trainer

STATE, WEIGHTS, CURVES, HISTORY = "last.pt", "weights.safetensors", "curves.png", "history.json"
LARGEST_COVER = 1.5
"""Side of the largest crop, relative to what fits into the picture: there things are seen from farther away."""
HISTORY_ROWS = 400
"""About how many points a loss curve gets."""


class StepReporter(Protocol):
    """Called with the progress of training."""

    def step(self, done: int, total: int, losses: dict[str, float], lr: float, crops_per_second: float) -> None:
        """After each step."""
        ...

    def measured(self, step: int, result: Scores) -> None:
        """After each measurement on the validation set."""
        ...


@dataclass(frozen=True, eq=False)
class Validation:
    """What is measured now and then, all pictures as one; the network sees them as runs on pictures show them to it."""

    datasets: tuple[FolderDataset, ...]
    mapping: ClassMapping | None
    imgsz: int
    """Long side of what it sees, where `given` says nothing of a size."""
    given: InputFormat | None = None


class TrainingSession:
    """Trains in a folder.

    Args:
        out: the run's folder; exists.
        datasets: one or more, in the order of `settings.mix`.
        save_every: steps between checkpoints.
        validate_every: steps between measurements; the last step is always measured.
        workers: processes that read crops ahead.
        resume: go on from `last.pt` where there is one.
        init: name of what training starts from; when resuming None takes any.
        labels: written into the weights; None for ADE20K's, or plain numbers.
    Raises:
        ConfigError: the folder holds a run and `resume` is False, or one with other settings, data or start.
        CheckpointError: `last.pt` is not a training checkpoint.
    """

    def __init__(
        self,
        trainer: Trainer,
        datasets: Sequence[FolderDataset],
        out: Path,
        *,
        device: torch.device,
        save_every: int = 200,
        validation: Validation | None = None,
        validate_every: int = 500,
        workers: int = 0,
        resume: bool = False,
        init: str | None = None,
        labels: LabelSet | None = None,
    ) -> None:
        self._trainer = trainer
        self._labels = labels
        self._settings = trainer.settings
        self._datasets = datasets
        self._out = out
        self._device = device
        self._save_every = save_every
        self.validation = validation
        """What is measured; may be changed before `run`."""
        self.repeats: list[FloatArray] | None = None
        """How often each picture of each dataset comes, see `rare_class_repeats`; may be set before `run`."""
        self._validate_every = validate_every
        self._workers = workers
        self._origin: dict[str, Any] = {
            "precision": precision_name(trainer.precision),
            "datasets": [dataset.fingerprint() for dataset in datasets],
            "init": init,
        }
        self._history: list[dict[str, float]] = []
        self._pending: list[dict[str, float]] = []
        self._row_every = math.ceil(self._settings.steps / HISTORY_ROWS)
        self._saved_step = -1
        self.last_scores: Scores | None = None
        if (out / STATE).exists():
            if not resume:
                raise ConfigError(f"{out}: contains a training run; continue it with --resume, or choose another --out")
            self._resume()

    def run(self, reporter: StepReporter, should_stop: Callable[[], bool] = lambda: False) -> bool:
        """Train to the last step, or until asked to stop; a checkpoint is written either way. True at the last step.

        Raises:
            TrainingError: the loss is not finite, or there is no memory; says where the last good checkpoint is.
            ConfigError: a bad file in a dataset; the steps so far are saved, as with errors that are bugs.
            WriteError: the folder cannot be written.
        """
        trainer, settings = self._trainer, self._settings
        cell = trainer.model.mask_stride
        options = AugmentOptions(crop_hw=settings.crop_hw, cell=cell, cover=(settings.cover, LARGEST_COVER))
        mixture = Mixture(
            self._datasets,
            options,
            count=settings.steps * settings.batch,
            seed=settings.seed,
            num_classes=settings.classes,
            shares=settings.mix,
            repeats=self.repeats,
        )
        if trainer.step == settings.steps:  # a kill may have come between the checkpoint and the other files
            self.save()
        self._measure_if_due(reporter)  # or before it was done
        started, first = time.monotonic(), trainer.step
        source = batches(
            mixture, settings.batch, first=first, workers=self._workers, pinned=self._device.type == "cuda"
        )
        for batch in self._saving_when_lost(source):
            lr = trainer.next_lr
            try:
                losses = trainer.train_step(batch)
            except TrainingError as error:
                raise self._with_advice(error) from error
            except Exception as error:
                if isinstance(error, torch.OutOfMemoryError):
                    traceback.clear_frames(error.__traceback__)  # they hold what filled the GPU, and saving needs room
                if trainer.intact and trainer.step > 0 and self._saved_step != trainer.step:
                    self.save()
                if isinstance(error, torch.OutOfMemoryError):
                    raise self._without_memory(error) from error
                raise
            done = trainer.step
            self._note(losses, lr)
            rate = (done - first) * settings.batch / max(1e-9, time.monotonic() - started)
            reporter.step(done, settings.steps, losses, lr, rate)
            if done == settings.steps or done % self._save_every == 0:
                self.save()
            self._measure_if_due(reporter)
            if done < settings.steps and should_stop():
                self.save()
                return False
        return True

    def save(self) -> None:
        """Write all files of the folder.

        Raises:
            TrainingError: weights are not finite, or not in the half precision of the export; nothing is written then.
        """
        if not self._trainer.has_finite_weights():
            raise self._with_advice(TrainingError(f"weights are not finite after step {self._trainer.step}"))
        try:
            zoo.in_half_precision(self._trainer.average.state_dict())
        except CheckpointError as error:
            raise self._with_advice(TrainingError(f"after step {self._trainer.step} {error}")) from error
        state = self._trainer.state()
        state["settings"] = self._settings.as_dict()
        state["pictures"] = self._pictures()
        state["origin"] = self._origin
        state["history"] = {"rows": self._history, "pending": self._pending}
        save_state(self._out / STATE, state)
        zoo.export_weights(self._out / WEIGHTS, self._trainer.average.state_dict(), self._labels)
        write_whole_file(self._out / HISTORY, (json.dumps(self._history, indent=1) + "\n").encode())
        write_whole_file(self._out / CURVES, curves_png(self._curve("loss"), self._curve("miou")))
        self._saved_step = self._trainer.step

    def _resume(self) -> None:
        path = self._out / STATE
        state = load_state(path)
        difference = self._settings.difference(state["settings"])
        if difference is not None:
            raise ConfigError(f"{path}: {difference}; give the options of the run, or another --out")
        if state["pictures"] != self._pictures():
            raise ConfigError(
                f"{path}: was trained on {state['pictures']} images per dataset, now there are {self._pictures()}; "
                "give the same data, or another --out"
            )
        self._compare_origin(path, state.get("origin"))
        self._trainer.restore(state)
        self._history, self._pending = state["history"]["rows"], state["history"]["pending"]

    def _compare_origin(self, path: Path, stored: dict[str, Any] | None) -> None:
        """Raises ConfigError where the run in the folder began otherwise."""
        given = self._origin["init"]
        if stored is None:  # a checkpoint of older versions, which kept none of this
            del self._origin["init"]
            return
        if stored["precision"] != self._origin["precision"]:
            difference = f"--precision was {stored['precision']} and is now {self._origin['precision']}"
            raise ConfigError(f"{path}: {difference}; give the options of the run, or another --out")
        for number, (old, new) in enumerate(zip(stored["datasets"], self._origin["datasets"], strict=True)):
            if old != new:
                raise ConfigError(
                    f"{path}: {self._datasets[number].folder} contains other files "
                    f"than dataset {number + 1} of the run; "
                    "give the same data in the same order, or another --out"
                )
        if given is not None and given != stored.get("init", given):
            began = stored["init"] or "random weights"
            raise ConfigError(f"{path}: began with {began}, not with --init {given}; leave out --init")
        self._origin = stored

    def _pictures(self) -> list[int]:
        return [len(dataset) for dataset in self._datasets]

    def _note(self, losses: dict[str, float], lr: float) -> None:
        """Remember the losses; a row of the history is the mean over some steps."""
        self._pending.append(losses)
        if self._trainer.step % self._row_every == 0 or self._trainer.step == self._settings.steps:
            count = len(self._pending)
            means = {name: sum(row[name] for row in self._pending) / count for name in losses}
            self._history.append({"step": self._trainer.step, "lr": lr, **means})
            self._pending = []

    def _saving_when_lost(self, source: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; when one cannot be had, the steps so far are saved before its error goes on."""
        while True:
            try:
                batch = next(source)
            except StopIteration:
                return
            except Exception as error:
                step = self._trainer.step
                if step == 0:
                    raise
                if self._saved_step != step:
                    self.save()
                if isinstance(error, ConfigError):
                    raise ConfigError(f"{error}; once restored, --resume continues after step {step}") from error
                raise
            yield batch

    def _measure_if_due(self, reporter: StepReporter) -> None:
        """Measure at the last step and at every so many, once. What was learnt is saved before, the scores after."""
        step = self._trainer.step
        due = step == self._settings.steps or (step > 0 and step % self._validate_every == 0)
        if self.validation is None or not due or any("miou" in row and row["step"] == step for row in self._history):
            return
        if self._saved_step != step:
            self.save()
        self._measure(reporter)
        self.save()

    def _measure(self, reporter: StepReporter) -> None:
        """Measure the averaged weights."""
        validation = self.validation
        assert validation is not None
        model = copy.deepcopy(self._trainer.model)
        model.load_state_dict(self._trainer.average.state_dict())
        segmenter = QuerySegmenter(TorchRuntime(model, self._device), imgsz=validation.imgsz, given=validation.given)
        confusions = [
            confusion(evaluate(segmenter, dataset, num_classes=model.num_classes), dataset, validation.mapping)
            for dataset in validation.datasets
        ]
        self.last_scores = scores(sum(confusions[1:], confusions[0]))
        row: dict[str, float] = {
            "step": self._trainer.step,
            "miou": self.last_scores.mean_iou,
            "pixel_accuracy": self.last_scores.pixel_accuracy,
        }
        self._history.append(row)
        reporter.measured(self._trainer.step, self.last_scores)

    def _curve(self, name: str) -> list[tuple[float, float]]:
        return [(row["step"], row[name]) for row in self._history if name in row]

    def _without_memory(self, error: torch.OutOfMemoryError) -> TrainingError:
        text = f"{first_sentence(error)}; a smaller --batch or --crop takes less"
        if self._trainer.intact and self._trainer.step > 0:
            text += (
                f", in another --out with --init {self._out / STATE} (step {self._trainer.step}); or --resume as it is"
            )
        return TrainingError(text)

    def _with_advice(self, error: TrainingError) -> TrainingError:
        path = self._out / STATE
        if not path.exists():
            return TrainingError(f"{error}; there is no checkpoint yet: lower --lr or lengthen --warmup")
        step: Any = load_state(path)["step"]
        return TrainingError(
            f"{error}; the last good checkpoint is {path} (step {step}): lower --lr and start from it with --init"
        )
