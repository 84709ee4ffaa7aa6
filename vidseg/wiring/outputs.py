"""The outputs that a configuration asks for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import combinations, takewhile
from pathlib import Path
from typing import Any

from vidseg.atomic import existing, refuse_source
from vidseg.config import RunConfig
from vidseg.defaults import CONF
from vidseg.errors import ConfigError, SinkError
from vidseg.frames import Segmentation, UInt8Array, VideoInfo, label_map_of, levels_of
from vidseg.interfaces import Renderer, Sink
from vidseg.labels import LabelSet
from vidseg.names import (
    PIPE,
    STANDARD_OUTPUT,
    annotated_folder,
    expand_user,
    page_title,
    shown_name,
    url_scheme,
    without_file_scheme,
)
from vidseg.pipeline.reconnecting import Backoff, ReconnectOptions
from vidseg.render.matte import MatteRenderer
from vidseg.render.options import RenderOptions
from vidseg.render.overlay import OverlayRenderer, view_size
from vidseg.saved_masks import MASK_VIDEO_ENDING
from vidseg.sending.receiver_address import stream_muxer
from vidseg.sending.stream_sink import StreamSink, Tries
from vidseg.sinks.factory import open_video_sink
from vidseg.sinks.hardware_encoders import software_instead
from vidseg.sinks.hls_sink import PLAYLIST_ENDING
from vidseg.sinks.mask_sink import MaskVideoSink
from vidseg.sinks.pipe_sink import PipeSink, refuse_terminal, take_stdout
from vidseg.sinks.records.class_shares import ClassShareCsvSink
from vidseg.sinks.records.detections_jsonl import DetectionsSink
from vidseg.sinks.records.label_maps import LabelMapSink
from vidseg.sinks.records.parquet_shares import ClassShareParquetSink
from vidseg.sinks.records.share_plot import SharePlotSink
from vidseg.sinks.split_output import Splitter
from vidseg.sources.factory import SourceKind, check_exists, classify
from vidseg.sources.image_source import is_picture
from vidseg.video.encoders import CONTAINERS, EncodeOptions
from vidseg.wiring.output_shape import at_output_rate, check_shape, output_names, output_size, rated, with_output_size
from vidseg.wiring.split_files import check_split, in_files, make_splitter
from vidseg.wiring.work_folder import WorkFolder

_RECORDS = ("save_json", "save_csv", "save_parquet", "save_plot")


def with_default_output(config: RunConfig) -> RunConfig:
    """The configuration; where it asks for nothing, with NAME_annotated in the current folder as output.

    A film becomes an .mp4, a picture a .jpg or .png, and a folder of pictures a folder. Several sources, live ones,
    patterns and mattes, which need a container of their own, are left as they are. A film whose output is a folder, or
    has a slash behind it, gets that name in it; `made_folder` makes the folder.
    """
    if config.source in (None, PIPE) or config.more_sources or config.matte:
        return config
    assert config.source is not None
    path, output = expand_user(without_file_scheme(config.source)), config.output
    if output is not None:
        film = classify(config.source) is SourceKind.FILE and os.path.isfile(path) and not is_picture(path)
        folder = url_scheme(output) is None and (output.endswith(("/", os.sep)) or os.path.isdir(output))
        return replace(config, output=os.path.join(output, _annotated(path, ".mp4"))) if film and folder else config
    if output_names(config) or config.show or config.serve or config.metrics or config.stats:
        return config
    if os.path.isdir(path):
        return replace(config, output=f"{annotated_folder(path)}/")
    if not os.path.isfile(path) and classify(config.source) is not SourceKind.FILE:
        return config  # of a file that is not there, whoever opens it tells
    photo = ".jpg" if path.casefold().endswith((".jpg", ".jpeg")) else ".png"
    return replace(config, output=_annotated(path, photo if is_picture(path) else ".mp4"))


def _annotated(path: str, ending: str) -> str:
    stem = os.path.splitext(os.path.basename(path))[0]
    return f"{stem.replace('%', '_')}_annotated{ending}"  # with a % it would become pictures with numbers


@contextmanager
def made_folder(path: str) -> Iterator[None]:
    """The folder, made where it is missing with those above it; of these, what is empty at the end is removed.

    Raises:
        SinkError: it cannot be made.
    """
    missing = list(takewhile(lambda each: not os.path.exists(each), (Path(path), *Path(path).parents)))
    try:
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            raise SinkError(f"{path}: cannot be made ({error.strerror})") from error
        yield
    finally:
        for each in missing:
            with suppress(OSError):
                each.rmdir()


def check_files(config: RunConfig) -> None:
    """The two commonest mistakes, told before torch is imported, which takes longer than all else that could refuse.

    Raises:
        SourceError: the source is not there.
        SinkError: the output is.
    """
    if config.source is not None:
        check_exists(config.source)
    replaced = config.overwrite or config.resume or config.piped or config.output is None or "%" in config.output
    if not replaced and os.path.isfile(path := expand_user(config.output or "")):
        refuse_source(Path(path), [expand_user(each) for each in (config.source or "", *config.more_sources)])
        raise existing(path)


def check_sent(config: RunConfig) -> None:
    """Nothing, if the output is a file, or something that can be sent, piped or played while it is made.

    Raises:
        ConfigError: the other options do not go with it.
        SinkError: nothing can be sent to the address, or standard output is a terminal.
    """
    check_shape(config)
    check_split(config)
    if config.format is not None and not config.piped:
        raise ConfigError("--format is for -o -; the ending of a file name sets its format")
    playlist = Path(config.output or "").suffix.casefold() == PLAYLIST_ENDING
    if config.sent:
        stream_muxer(config.output or "")
    elif config.piped:
        refuse_terminal()
    elif not playlist:
        return
    shown = shown_name(config.output or "")
    kind = "a playlist" if playlist else "a pipe" if config.piped else "a stream"
    unsuited = (*config.chunk_options, *(["--matte"] if config.matte else []))
    if unsuited:
        raise ConfigError(f"{shown}: {unsuited[0]} cannot be used with {kind}; leave it out, or give out.mp4")


def with_usable_encoder(config: RunConfig, info: VideoInfo, note: Callable[[str], None]) -> RunConfig:
    """The configuration, with a software encoder where it names one of hardware that is not there.

    What follows (chunks, workers, the facts of a resumed run) then agrees on the encoder.

    Args:
        note: told in one sentence.
    """
    if config.codec is None or config.output is None or config.matte:
        return config
    ending = Path(config.output).suffix.casefold()
    if not (config.sent or config.piped) and ending[1:] not in CONTAINERS and ending != PLAYLIST_ENDING:
        return config  # pictures take no encoder; who opens them says so
    height, width = view_size(config.view, info.height, info.width)
    size = output_size(config)
    height, width = (height, width) if size is None else size.of((height, width))
    instead = software_instead(config.codec, config.encoder_preset, (width, height))
    if instead is None:
        return config
    note(instead.reason)
    return replace(config, codec=instead.codec, encoder_preset=instead.encoder_preset)


def encode_options(config: RunConfig) -> EncodeOptions:
    """What the configuration asks of the encoder of its output."""
    return EncodeOptions(config.codec, config.crf, config.encoder_preset, config.audio)


def shown_outputs(config: RunConfig) -> tuple[str, ...]:
    """`output_names` as they are called in messages: addresses without passwords."""
    names = tuple(shown_name(name) if url_scheme(name) else name for name in output_names(config))
    return (STANDARD_OUTPUT, *names[1:]) if config.piped else names


def open_sinks(
    config: RunConfig,
    info: VideoInfo,
    labels: LabelSet,
    announce: Callable[[str], None] = lambda text: None,
    *,
    part: bool | None = None,
) -> list[Sink]:
    """The outputs that the configuration asks for, checked and claimed; none is left behind when one fails.

    Args:
        labels: of the model.
        announce: told what becomes of the receiver of a stream.
        part: the frames begin in the middle of the source, and so does its audio; None: as `starts_inside` says.
    Returns:
        In the order in which they are written and closed: video, masks, confidence, records, and what is sent last.
    Raises:
        ConfigError: two outputs have one name, or a name does not suit what is to be written there.
        SinkError: a setting does not fit the output, or it cannot be claimed: it exists, or nobody may write there.
    """
    named = [*output_names(config), *filter(None, [config.stats])]
    for path, other in combinations(named, 2):
        if os.path.realpath(path) == os.path.realpath(other):
            raise ConfigError(f"{path}: is used for two outputs; give each its own name")
    for option in ("save_masks", "save_confidence", *_RECORDS, "stats"):
        if getattr(config, option) == PIPE:
            name = f"--{option.replace('_', '-')}"
            raise ConfigError(f"{name}: only OUT can go to standard output (-o -); give the name of a file")
    for path in filter(None, (getattr(config, option) for option in (*_RECORDS, "stats"))):
        if path.endswith(("/", os.sep)):
            raise ConfigError(f"{path}: is a folder; this output is a single file, give its name")
    # what was written before a run was killed may be written again; a finished video still needs overwrite
    again = config.resume and WorkFolder(config.output or config.save_masks or config.save_confidence or "").exists
    splitter = make_splitter(config, info)
    with ExitStack() as stack:
        sinks: list[Sink] = []
        if config.piped:
            sinks.append(rated(_pipe_sink(config, at_output_rate(config, info)), config))
            stack.callback(sinks[-1].abort)
        elif config.output and not config.sent:
            sinks.append(_file_sink(config, at_output_rate(config, _limited(info, config)), part, splitter))
            stack.callback(sinks[-1].abort)
        for option, of in (("save_masks", label_map_of), ("save_confidence", levels_of)):
            if getattr(config, option):
                opened = partial(_mask_sink, option, of, info=info, overwrite=config.overwrite or again)
                sinks.append(in_files(config, option, splitter, opened))
                stack.callback(sinks[-1].abort)
        for sink in _open_records(config, info, labels, splitter):
            sinks.append(sink)
            stack.callback(sink.abort)
        if config.sent:  # closed last: a receiver that is gone costs no other output
            sinks.append(rated(_stream_sink(config, at_output_rate(config, info), announce), config))
        stack.pop_all()
        return sinks


def starts_inside(config: RunConfig) -> bool:
    """True where the frames of a file begin in its middle: in a video, their times begin at 0 then."""
    return config.start is not None


def _limited(info: VideoInfo, config: RunConfig) -> VideoInfo:
    """What a sink is to know of a source of which `limit` may take a part."""
    if config.limit is None or info.frame_count is None:
        return info
    return replace(info, frame_count=min(info.frame_count, config.limit))


def _file_sink(config: RunConfig, info: VideoInfo, part: bool | None, splitter: Splitter | None = None) -> Sink:
    """The output as a file, several files, a playlist or pictures; `part` as in `open_sinks`."""
    assert config.output is not None
    if splitter is not None:
        unsaid = replace(info, frame_count=None, duration_seconds=None)  # of a file
        return in_files(config, "output", splitter, lambda one: _file_sink(one, unsaid, True))
    sink = open_video_sink(
        config.output,
        info,
        overwrite=config.overwrite,
        encode=encode_options(config),
        rebase=(starts_inside(config) if part is None else part) or None,
        alpha=bool(config.matte),
        rolling=info.live or bool(config.pace),
        in_chunks=bool(config.chunk_options),
        source_paths=info.source_paths,
    )
    return rated(sink, config)


def _pipe_sink(config: RunConfig, info: VideoInfo) -> PipeSink:
    return PipeSink(
        take_stdout(),
        info,
        format=config.format or "matroska",
        encode=encode_options(config),
        source_paths=info.source_paths,
    )


def _stream_sink(config: RunConfig, info: VideoInfo, announce: Callable[[str], None]) -> StreamSink:
    """A receiver comes back, and is waited for, as a live source is."""
    attempts = None if config.reconnect in (None, "always") else int(config.reconnect)
    return StreamSink(
        config.output or "",
        info,
        waits=Backoff(ReconnectOptions(longest_wait=2.0)),  # each try starts a process
        tries=Tries(attempts, wait_for_first=config.reconnect not in (None, "0")),
        timeout=config.timeout,
        encode=encode_options(config),
        announce=announce,
    )


def _open_records(config: RunConfig, info: VideoInfo, labels: LabelSet, splitter: Splitter | None) -> Iterator[Sink]:
    """Tables, detections and the plot."""
    for option in _RECORDS:
        if getattr(config, option):
            yield in_files(config, option, splitter, partial(_record, option, info, labels))


def _record(option: str, info: VideoInfo, labels: LabelSet, config: RunConfig) -> Sink:
    """The one that this option names, as one file."""
    path = getattr(config, option)
    claimed: dict[str, Any] = {"overwrite": config.overwrite, "source_paths": info.source_paths}
    if option == "save_json":
        threshold = CONF if config.conf is None else config.conf
        return DetectionsSink(path, masks=config.json_masks, threshold=threshold, keep=info.live, **claimed)
    if option == "save_csv":
        return ClassShareCsvSink(path, labels.names, keep=info.live, **claimed)
    if option == "save_parquet":
        return ClassShareParquetSink(path, labels.names, info.time_base, **claimed)
    return SharePlotSink(path, labels, still=info.still, title=page_title(config.source or ""), **claimed)


def make_renderer(config: RunConfig, options: RenderOptions, labels: LabelSet) -> Renderer:
    """What draws the pictures of `config.output`.

    Raises:
        ConfigError: a class of the matte is unknown, or nothing is there to write it to.
    """
    if not config.matte:
        return with_output_size(OverlayRenderer(options, labels), config)
    if not config.output:
        raise ConfigError("--matte: needs an output to cut out to; give -o cut.mov, cut.webm or cut_%05d.png")
    opaque = labels.find_all(config.matte)
    cut_out = MatteRenderer(opaque, feather=config.feather, options=options, labels=labels)
    return with_output_size(cut_out, config)


def _mask_sink(
    name: str, of: Callable[[Segmentation], UInt8Array], config: RunConfig, *, info: VideoInfo, overwrite: bool
) -> Sink:
    """One video for an ending in .mkv, else a folder of PNGs, whose table of times cannot be resumed."""
    path, option = getattr(config, name), f"--{name.replace('_', '-')}"
    ending = Path(path).suffix.casefold()
    folder = os.path.isdir(path) or path.endswith(("/", os.sep))
    if not folder and ending == MASK_VIDEO_ENDING:
        return MaskVideoSink(path, info, overwrite=overwrite, source_paths=info.source_paths, of=of, option=option)
    if not folder and ending[1:] in CONTAINERS:
        raise ConfigError(f"{path}: masks are written to a folder, or losslessly to one video: FILE{MASK_VIDEO_ENDING}")
    return LabelMapSink(
        path,
        overwrite=overwrite,
        times=not info.still and not config.resume,
        source_paths=info.source_paths,
        keep=info.live,
        of=of,
    )
