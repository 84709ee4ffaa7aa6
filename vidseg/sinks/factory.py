"""Chooses the sink for an output path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from vidseg.atomic import refuse_device
from vidseg.errors import SinkError
from vidseg.frames import VideoInfo
from vidseg.sinks.av_sink import AvSink
from vidseg.sinks.chunked_video import ChunkedAvSink
from vidseg.sinks.gif_sink import GifSink
from vidseg.sinks.hls_sink import PLAYLIST_ENDING, HlsSink
from vidseg.sinks.image_sink import IMAGE_ENDINGS, ImageSink, is_numbered
from vidseg.video.encoders import CONTAINERS, DEFAULT_ENCODE, EncodeOptions


def open_video_sink(
    path: str | Path,
    info: VideoInfo,
    *,
    overwrite: bool,
    encode: EncodeOptions = DEFAULT_ENCODE,
    rebase: bool | None = None,
    alpha: bool = False,
    in_chunks: bool = False,
    rolling: bool = False,
    source_paths: Sequence[str | Path] = (),
) -> AvSink | ImageSink:
    """A sink for `path`: pictures for a picture's ending, a pattern or a folder; a video for a video's ending, .m3u8
    included. A .webp is a picture, or an animation where the source is a video.

    Args:
        rolling: a playlist lists the last segments only, and is there from the start; see `HlsSink`.
        in_chunks: a video that survives a kill and can be resumed; see `ChunkedAvSink`.
        source_paths: files and folders of the input, which are never overwritten. The other arguments are those of
            `AvSink`; for pictures only `overwrite` and `alpha` count, and asking for a codec is an error.
    Raises:
        SinkError: the ending is unknown, or the sink refuses.
    """
    text, ending = str(path), Path(path).suffix.casefold()
    if text.startswith("/dev/video"):
        raise SinkError(
            f"{text}: PyAV's FFmpeg cannot write to a camera; use -o - --format nut | ffmpeg -i - -f v4l2 {text}"
        )
    refuse_device(text, "give a file name; -o - sends the video through a pipe")
    folder = text.endswith(("/", os.sep)) or os.path.isdir(text) or (info.still and not ending)
    animation = ending == ".webp" and not (info.still or info.frame_count == 1 or is_numbered(text))
    if folder or (ending in IMAGE_ENDINGS and not animation):
        for name in ("codec", "crf", "encoder_preset"):
            if getattr(encode, name) is not None:
                name = name.replace("_", " ")
                raise SinkError(f"{path}: {name} does not apply to images; leave it out or give a video file")
        return ImageSink(text, info, overwrite=overwrite, alpha=alpha, source_paths=source_paths)
    playlist = ending == PLAYLIST_ENDING
    if not playlist and ending[1:] not in CONTAINERS:
        shown = f"'{ending}' is not a known format" if ending else "has no file ending"
        videos, images = " ".join(f".{name}" for name in (*CONTAINERS, PLAYLIST_ENDING[1:])), " ".join(IMAGE_ENDINGS)
        raise SinkError(f"{path}: {shown}; video: {videos}; images: {images}, a pattern such as %05d.png, or folder/")
    whole = GifSink if ending == ".gif" else AvSink
    video = partial(HlsSink, rolling=rolling) if playlist else ChunkedAvSink if in_chunks else whole
    return video(
        path,
        info,
        overwrite=overwrite,
        encode=encode,
        rebase=rebase,
        alpha=alpha,
        source_paths=source_paths,
    )
