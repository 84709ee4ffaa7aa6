"""Networks out of files, fed as their YAML says: uint8 pictures in; scores, labels or query outputs out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vidseg.errors import ConfigError, ModelError, all_in_one_line
from vidseg.frames import NO_LABEL, UInt8Array
from vidseg.names import counted
from vidseg.runtimes.accelerators import Accelerator
from vidseg.runtimes.base import Running
from vidseg.runtimes.inferred import PIXEL_MASK, picture_input
from vidseg.runtimes.model_format import QUERY_OUTPUTS, InputFormat, ModelFile
from vidseg.runtimes.ports import Port, Shape
from vidseg.runtimes.sessions import Array, OpenVinoSession, Session, open_on, open_session

_BLOCK, _BLOCKS = 1 << 12, 16


class FileRuntime:
    """What both kinds of networks share: the input, one picture at a time where the file takes no batch.

    Several threads may call it; one after the other gets through.

    Raises:
        ConfigError: the file has no such input or outputs, or they are not as the YAML says.
    """

    def __init__(self, file: ModelFile, session: Session) -> None:
        self._session = session
        self.name = session.name
        self.device = torch.device("cpu")
        self._turn = threading.Lock()
        self._where = str(file.path)
        if session.inputs and picture_input(session.inputs) is None:
            names = ", ".join(port.name for port in session.inputs)
            raise ConfigError(
                f"{self._where}: has {len(session.inputs)} inputs ({names}); accepted: one, the picture; "
                "export it with the others as constants"
            )
        wanted = (file.input.name,) if file.input.name else ()
        pictures = tuple(port for port in session.inputs if port.name != PIXEL_MASK)
        self._masks = tuple(port for port in session.inputs if port.name == PIXEL_MASK)
        (port,) = self._ports("input", pictures, wanted, 1)
        self.input_port = port
        self.output_ports = self._ports("output", session.outputs, file.output.names, 2 if file.queries else 1)
        self.input = _with_shape(file, port)
        self._format = file.input
        self._dtype = port.dtype or file.input.dtype or "float32"
        separate = isinstance(session, OpenVinoSession) and session.one_by_one
        self._one_by_one = separate or (port.shape is not None and port.shape[0] == 1)
        shape = (1, 3, 1, 1) if file.input.layout == "NCHW" else (1, 1, 1, 3)
        scale = 1 / np.array(file.input.std, dtype=np.float32)
        self._scale = (scale / np.float32(file.input.divide_by)).reshape(shape)
        self._shift = (-np.array(file.input.mean, dtype=np.float32) * scale).reshape(shape)

    def expect(self, size_hw: tuple[int, int]) -> None:
        """See `vidseg.runtimes.base.Sized`."""
        if isinstance(self._session, OpenVinoSession) and self._one_by_one:
            with self._turn:
                self._session.expect((1, 3, *size_hw) if self._format.layout == "NCHW" else (1, *size_hw, 3))

    def _run(self, images: Tensor) -> list[Array]:
        """The outputs that are used. Raises ModelError where the network fails, or gives NaN."""
        feed = self._feed(images)
        with self._failing_on(feed.shape), self._turn:
            parts = list(feed[:, None] if self._one_by_one else feed[None])
            found = self._session.run_each([self._named(part) for part in parts], self._output_names)
        return self._without_nan(found)

    def _start(self, image: Tensor) -> Running[list[Array]]:
        """As `_run`, but not waited for; of OpenVINO's session only."""
        assert isinstance(self._session, OpenVinoSession)
        feed = self._feed(image)
        with self._failing_on(feed.shape), self._turn:
            running = self._session.start(self._named(feed), self._output_names)

        shape = feed.shape  # the feed itself is let go when the network is done with it

        def result() -> list[Array]:
            with self._failing_on(shape):
                found = running.result()
            return self._without_nan(found)

        return Running(result, running.seconds)

    @contextmanager
    def _failing_on(self, shape: tuple[int, ...]) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # engines raise what they like, mostly for sizes that a network cannot take
            raise ModelError(
                f"{self._where}: fails on input {shown_shape(shape)} ({all_in_one_line(error)}); "
                "if it accepts only some sizes, state them in the YAML: input: multiple_of, or shape"
            ) from error

    def _without_nan(self, found: list[Array]) -> list[Array]:
        for port, array in zip(self.output_ports, found, strict=True):
            if array.dtype.kind == "f" and array.size and np.isnan(_some(array).min()):
                which = f"output {port.name}".rstrip()
                raise ModelError(
                    f"{self._where}: {which} contains NaN; check mean and std in the YAML, or export the network again"
                )
        return found

    @property
    def _output_names(self) -> list[str]:
        return [port.name for port in self.output_ports]

    def _named(self, feed: Array) -> dict[str, Array]:
        """The inputs by name: the pictures, and ones for a mask that says which pixels count."""
        height, width = feed.shape[2:] if self._format.layout == "NCHW" else feed.shape[1:3]
        ones = {port.name: np.ones((len(feed), height, width), dtype=port.dtype) for port in self._masks}
        return {self.input_port.name: feed, **ones}

    def _feed(self, images: Tensor) -> Array:
        pixels = images.numpy()
        if self._format.channels == "BGR":
            pixels = pixels[:, ::-1]
        if self._format.layout == "NHWC":
            pixels = pixels.transpose(0, 2, 3, 1)
        if self._dtype != "uint8":
            pixels = (pixels * self._scale + self._shift).astype(self._dtype, copy=False)
        return np.ascontiguousarray(pixels)

    def _ports(self, kind: str, found: tuple[Port, ...], wanted: tuple[str, ...], count: int) -> tuple[Port, ...]:
        """The ports of the names wanted; without names the only one. Made up where the file names none."""
        if not found:
            return tuple(Port(name, None, "") for name in (wanted or ("",) * count))
        names = ", ".join(port.name for port in found)
        if not wanted:
            if len(found) != count:
                raise ConfigError(
                    f"{self._where}: has the {kind}s {names}; name the one to use in the YAML ({kind}: name)"
                )
            return found
        by_name = {port.name: port for port in found}
        for name in wanted:
            if name not in by_name:
                raise ConfigError(f"{self._where}: has no {kind} '{name}'; its {kind}s are {names}")
        return tuple(by_name[name] for name in wanted)


class ScoreFileRuntime(FileRuntime):
    """A semantic segmentation network: scores by channel, or labels, on the network's own grid."""

    def __init__(self, file: ModelFile, session: Session) -> None:
        super().__init__(file, session)
        self._output = file.output
        self._classes = len(file.labels)
        self._yaml = file.origin
        (port,) = self.output_ports
        rank = 3 if file.output.layout == "NHW" else 4
        if port.shape is not None and len(port.shape) != rank and not (rank == 3 and _single_channel(port.shape)):
            raise ConfigError(
                f"{self._where}: output {port.name} has {len(port.shape)} "
                f"dimensions {shown_shape(port.shape)}, but layout "
                f"{file.output.layout} has {rank}; accepted: NCHW or NHWC for scores, NHW for a map of labels"
            )
        self.class_of_channel = np.empty(0, dtype=np.uint8)
        self._class_of_value = self._value_table()
        channels = None
        if port.shape is not None and rank == 4:
            channels = port.shape[1 if file.output.layout == "NCHW" else 3]
        channels = channels or file.output.num_classes
        if channels is not None and not self.gives_labels:
            self._set_channels(channels)

    @property
    def gives_labels(self) -> bool:
        """True where the network has chosen the labels already."""
        return self._output.gives_labels

    @property
    def gives_logits(self) -> bool:
        """True where the scores are logits; else they are >= 0, or labels."""
        return self._output.values == "logits" and not self.gives_labels

    @property
    def align_corners(self) -> bool:
        """True where the corner scores lie on the corner pixels of what the network sees."""
        return self._output.align_corners

    def run(self, images: Tensor) -> Tensor:
        """(B, C, h', w') float32 scores by channel, logits or >= 0; or (B, h', w') uint8 class ids or `NO_LABEL`.

        A single channel gets a second one beside it, so that the larger of the two wins as its threshold would have it.

        Args:
            images: (B, 3, h, w) uint8 RGB.
        Raises:
            ConfigError: what comes out is not what the YAML says.
        """
        return self._said(self._run(images))

    def start(self, image: Tensor) -> Running[Tensor]:
        """See `Queued`."""
        return self._start(image).then(self._said)

    def _said(self, outputs: list[Array]) -> Tensor:
        """As `run`, of what comes out of the network."""
        (found,) = outputs
        if self.gives_labels:
            return torch.from_numpy(self._labels(found))
        if found.ndim != 4:
            raise ConfigError(
                f"{self._where}: output is {shown_shape(found.shape)}; layout {self._output.layout} has 4 dimensions"
            )
        if self._output.layout == "NHWC":
            found = found.transpose(0, 3, 1, 2)
        if len(self.class_of_channel) != max(2, found.shape[1]):
            self._set_channels(found.shape[1])
        scores = torch.from_numpy(found.astype(np.float32, copy=False))  # NHWC stays where it is, a view
        if found.shape[1] == 1:
            rest = torch.zeros_like(scores) if self._output.values == "logits" else 1 - scores
            scores = torch.cat([rest, scores], dim=1)
        return scores

    def weights(self, scores: Tensor) -> Tensor:
        """Of scores (C, h, w): the same >= 0, so that they can be averaged."""
        if self._output.values != "logits":
            return scores.clamp_min(0)
        if scores.stride(0) == 1:  # NHWC stays so: 150 maps of 160x90 in 3 instead of 13 ms
            return scores.movedim(0, -1).softmax(dim=-1).movedim(-1, 0)
        return scores.softmax(dim=0)

    def _labels(self, found: Array) -> UInt8Array:
        if found.ndim == 4 and _single_channel(found.shape):
            found = found[:, 0] if found.shape[1] == 1 else found[..., 0]
        if found.ndim != 3:
            raise ConfigError(f"{self._where}: output is {shown_shape(found.shape)}; layout NHW has 3 dimensions")
        if found.dtype == np.uint8:
            return self._class_of_value[found]
        values = found.astype(np.int64, copy=False)
        known = (values >= 0) & (values < len(self._class_of_value))
        return np.where(known, self._class_of_value[np.where(known, values, 0)], NO_LABEL)

    def _value_table(self) -> UInt8Array:
        """(256,) the class of each value in a map of labels."""
        ids = np.arange(256) - self._output.offset
        ids[(ids < 0) | (ids >= self._classes)] = NO_LABEL
        if self._output.background_channel is not None:
            ids[min(255, self._output.background_channel)] = NO_LABEL
        return ids.astype(np.uint8)

    def _set_channels(self, count: int) -> None:
        output = self._output
        if output.num_classes not in (None, count):
            raise ConfigError(
                f"{self._yaml}: num_classes is {output.num_classes}, but the network has {counted(count, 'channel')}"
            )
        if count == 1 and self._classes == 1:
            self.class_of_channel = np.array([NO_LABEL, 0], dtype=np.uint8)
            return
        ids = np.arange(count) - output.offset
        spare = output.background_channel == output.offset + self._classes
        if count - output.offset - spare != self._classes:
            labels, channels = counted(self._classes, "label"), counted(count, "channel")
            raise ConfigError(
                f"{self._yaml}: {labels}, but the network has {channels}, less the offset of {output.offset}: "
                f"{count - output.offset}; give as many labels, or another offset"
            )
        if count > 256:
            raise ConfigError(f"{self._where}: {count} channels; accepted: up to 256")
        ids[(ids < 0) | (ids >= self._classes)] = NO_LABEL
        if output.background_channel is not None:
            if output.background_channel >= count:
                raise ConfigError(
                    f"{self._yaml}: background_channel is {output.background_channel}, but the network has {count} "
                    f"channels; accepted: 0 to {count - 1}"
                )
            ids[output.background_channel] = NO_LABEL
        self.class_of_channel = ids.astype(np.uint8)


class QueryFileRuntime(FileRuntime):
    """Satisfies `Runtime` with an exported query network."""

    def __init__(self, file: ModelFile, session: Session) -> None:
        super().__init__(file, session)
        self._classes = len(file.labels)
        self._yaml = file.origin
        self.activated = file.output.activated
        self._check(*(port.shape for port in self.output_ports))

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits (B, Q, K+1) and mask logits (B, Q, h', w') of pictures (B, 3, h, w) uint8 RGB.

        Where the network is `activated`, probabilities (B, Q, K) and (B, Q, h', w').

        Raises:
            ConfigError: what comes out is not what the YAML says.
        """
        return self._said(self._run(images))

    def start(self, image: Tensor) -> Running[tuple[Tensor, Tensor]]:
        """See `Queued`."""
        return self._start(image).then(self._said)

    def _said(self, outputs: list[Array]) -> tuple[Tensor, Tensor]:
        class_logits, mask_logits = map(torch.from_numpy, outputs)
        self._check(tuple(class_logits.shape), tuple(mask_logits.shape))
        return class_logits, mask_logits

    def _check(self, classes: Shape | None, masks: Shape | None) -> None:
        """Raises ConfigError where the shapes, as far as they are known, are not those of so many labels."""
        for key, shape, rank in zip(QUERY_OUTPUTS, (classes, masks), (3, 4), strict=True):
            if shape is not None and len(shape) != rank:
                raise ConfigError(
                    f"{self._where}: {key} is {shown_shape(shape)}, which has {rank} dimensions in a query network; "
                    "check task and output in the YAML"
                )
        count = classes[2] if classes is not None else None
        if count is not None and count != self._classes + (not self.activated):
            without = f"{count} classes" if self.activated else f"{count - 1} classes and one for 'no object'"
            raise ConfigError(
                f"{self._yaml}: {self._classes} labels, but the network has {without}; give as many labels"
            )


def open_model_file(
    file: ModelFile,
    runtime: str = "auto",
    *,
    trusted: bool = False,
    precision: torch.dtype = torch.float32,
    threads: int | None = None,
    requests: int = 1,
    announce: Callable[[str], None] = lambda text: None,
    accelerator: Accelerator | None = None,
) -> ScoreFileRuntime | QueryFileRuntime:
    """The network of a file, ready to run.

    Args:
        trusted, announce: as in `open_session`.
        accelerator: to run it on; where it cannot, the CPU does, which is told.
    Raises:
        ConfigError: the engine does not fit the file, the YAML does not fit the network, or the file is not trusted.
        ModelError: the file cannot be read.
    """
    session = None
    if accelerator is not None:
        try:
            session = open_on(file.path, accelerator)
        except ModelError as error:
            announce(f"--device {accelerator.device}: {error}; {file.path.name} runs on the CPU instead")
    session = session or open_session(
        file.path, runtime, trusted=trusted, precision=precision, threads=threads, requests=requests, announce=announce
    )
    return QueryFileRuntime(file, session) if file.queries else ScoreFileRuntime(file, session)


def _with_shape(file: ModelFile, port: Port) -> InputFormat:
    """The input format with what the file itself says of the size. Raises ConfigError where the two differ."""
    given = file.input
    if port.dtype not in ("", "float32", "float16", "uint8") or (given.dtype and port.dtype not in ("", given.dtype)):
        wanted = given.dtype or "float32, float16 or uint8"
        raise ConfigError(f"{file.path}: input {port.name} is of {port.dtype}; expected: {wanted}")
    if port.shape is None:
        return given
    if len(port.shape) != 4:
        raise ConfigError(
            f"{file.path}: input {port.name} is {shown_shape(port.shape)}; 4 "
            f"dimensions are needed: pictures {given.layout}"
        )
    batch, *sides = port.shape
    if batch not in (None, 1):
        raise ConfigError(
            f"{file.path}: input {port.name} is {shown_shape(port.shape)}, a fixed batch of {batch} pictures; "
            "export it with a dynamic batch, or a batch of 1"
        )
    channels, height, width = sides if given.layout == "NCHW" else (sides[2], *sides[:2])
    other = sides[2] if given.layout == "NCHW" else sides[0]
    if channels is None and other == 3:
        raise ConfigError(
            f"{file.path}: input {port.name} is {shown_shape(port.shape)}, which is not layout {given.layout}"
        )
    if channels not in (None, 3):
        raise ConfigError(
            f"{file.path}: input {port.name} is {shown_shape(port.shape)}, in layout {given.layout} that is {channels} "
            "channels; pictures have 3"
        )
    if height is None or width is None:
        return given
    if given.fixed_hw not in (None, (height, width)):
        raise ConfigError(f"{file.origin}: shape is {given.fixed_hw}, but the file takes {height}x{width} only")
    return replace(given, fixed_hw=(height, width))


def _some(array: Array) -> Array:
    """Of a large array every 16th block of 16 KiB, in which NaN shows too: it comes in whole maps, or in regions."""
    rows = array.size // (_BLOCKS * _BLOCK)
    if rows < 16 or not array.flags.c_contiguous:
        return array
    return array.reshape(-1)[: rows * _BLOCKS * _BLOCK].reshape(rows, _BLOCKS, _BLOCK)[:, 0]


def _single_channel(shape: tuple[Any, ...]) -> bool:
    return len(shape) == 4 and 1 in (shape[1], shape[3])


def shown_shape(shape: Shape) -> str:
    """ "1x3x?x?": free sides are question marks."""
    return "x".join("?" if side is None else str(side) for side in shape)
