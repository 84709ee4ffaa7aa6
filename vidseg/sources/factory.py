"""Chooses the source class for what the user wrote as a source."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Literal

from vidseg.errors import ConfigError, SourceError
from vidseg.frames import rate_of
from vidseg.interfaces import VideoSource
from vidseg.names import PIPE, expand_user, shown_name, url_scheme, without_file_scheme
from vidseg.picture_size import MAX_PIXELS
from vidseg.sources.animation_source import AnimationSource, is_webp
from vidseg.sources.av_open import NoVideoError
from vidseg.sources.av_source import AvSource
from vidseg.sources.camera_source import CameraSource, is_camera
from vidseg.sources.file_checks import near_names
from vidseg.sources.image_source import IMAGE_RATE, ImageSource, is_picture
from vidseg.sources.page import find_video
from vidseg.sources.pattern_source import PatternSource, parse_pattern
from vidseg.sources.pipe_reader import stdin_file
from vidseg.sources.screen_source import DEFAULT_RATE, ScreenSource, is_screen
from vidseg.video.http_headers import header_options, remember_headers
from vidseg.wildcards import is_glob, matching_paths

ACCEPTED = (
    "a video or image file, a folder or glob of images, a URL (rtsp://, http://, ...), a camera (cam0), the screen, "
    "a test pattern (test) or a pipe (-)"
)


class SourceKind(Enum):
    """What a source text stands for."""

    FILE = "file"
    URL = "url"
    CAMERA = "camera"
    IMAGES = "images"
    PATTERN = "pattern"


def _is_file(path: str) -> bool:
    return os.path.isfile(expand_user(path))


def _is_dir(path: str) -> bool:
    return os.path.isdir(expand_user(path))


def classify(
    spec: str, *, is_file: Callable[[str], bool] = _is_file, is_dir: Callable[[str], bool] = _is_dir
) -> SourceKind:
    """What `spec` stands for; whether it can be opened is found out by opening it.

    In this order: standard input (`-`), camera (`cam0`, `0`, `/dev/video0`, `/dev/v4l/...`), URL (`scheme://`), a file
    or folder that exists, test pattern (`test`, `test:...`), glob (`*`, `?`, `[`), image or video file by its ending.
    So a file called `0` or `cam0` is written `./0`, and one called `test` wins over the pattern.

    Args:
        is_file, is_dir: look into the file system; `~` is theirs to expand.
    Raises:
        ConfigError: empty, or a test pattern that cannot be understood.
    """
    if not spec.strip():
        raise ConfigError(f"source is empty; accepted: {ACCEPTED}")
    if spec == PIPE:
        return SourceKind.FILE
    if is_camera(spec) or (is_screen(spec) and not (is_file(spec) or is_dir(spec))):
        return SourceKind.CAMERA
    spec = without_file_scheme(spec)
    if url_scheme(spec) is not None:
        return SourceKind.URL
    if is_dir(spec):
        return SourceKind.IMAGES
    by_ending = SourceKind.IMAGES if is_picture(spec) else SourceKind.FILE
    if is_file(spec):
        return by_ending
    if spec == "test" or spec.startswith("test:"):
        parse_pattern(spec)
        return SourceKind.PATTERN
    if is_glob(spec):
        return SourceKind.IMAGES
    return by_ending


def open_source(
    spec: str,
    *,
    max_pixels: int = MAX_PIXELS,
    camera_size: tuple[int, int] | None = None,
    camera_rate: float | None = None,
    camera_format: str | None = None,
    endless: bool = False,
    rtsp_transport: Literal["tcp", "udp"] = "tcp",
    open_timeout: float = 10.0,
    read_timeout: float = 5.0,
    hwaccel: str = "none",
    audio: bool = False,
    quality: int | None = None,
    more_images: Sequence[str] = (),
    image_rate: float | None = None,
) -> VideoSource:
    """An open source for `spec`, as `classify` reads it. Options that do not concern its kind are left unused.

    Args:
        spec: see `classify`.
        max_pixels: larger images are refused.
        camera_size, camera_rate, camera_format: see `CameraSource`.
        endless: of a test pattern; see `PatternSource`.
        quality: lines that the video of a web page has at most; None for 1080.
        more_images: pictures, folders and globs whose images follow those of `spec`.
        image_rate: images per second, for their times; None for 25.
        rtsp_transport, open_timeout, read_timeout, hwaccel, audio: see `AvSource`.
    Raises:
        ConfigError: `spec` cannot be understood.
        SourceError: it cannot be opened; a misspelt file name gets suggestions.
    """
    kind = classify(spec)
    spec = (stdin_file() or spec) if spec == PIPE else without_file_scheme(spec)
    if kind is SourceKind.CAMERA and is_screen(spec):
        if camera_size or camera_format:
            raise ConfigError(
                f"{spec}: --camera-size and --camera-format are for cameras; give screen:WxH+X+Y for a part"
            )
        return ScreenSource(spec, frame_rate=camera_rate or DEFAULT_RATE)
    if kind is SourceKind.CAMERA:
        return CameraSource(spec, size=camera_size, frame_rate=camera_rate, format=camera_format)
    if kind is SourceKind.PATTERN:
        return PatternSource(spec, endless=endless)
    check_exists(spec)
    if kind is SourceKind.IMAGES:
        more = [without_file_scheme(each) for each in more_images]
        rate = rate_of(image_rate or IMAGE_RATE)
        return ImageSource(spec, more=more, frame_rate=rate, max_pixels=max_pixels)
    if kind is SourceKind.FILE and is_webp(spec):
        return AnimationSource(spec)
    opened = partial(
        AvSource,
        rtsp_transport=rtsp_transport,
        open_timeout=open_timeout,
        read_timeout=read_timeout,
        hwaccel=hwaccel,
        audio=audio,
    )
    try:
        return opened(spec)
    except NoVideoError:
        if url_scheme(spec) not in ("http", "https"):
            raise
    found = find_video(spec, quality=quality, timeout=open_timeout)
    remember_headers(found.url, found.headers)
    if found.audio_url is not None:
        remember_headers(found.audio_url, found.audio_headers or {})
    options = header_options(found.url)
    return opened(found.url, options=options, name=shown_name(spec), audio_address=found.audio_url)


def check_exists(spec: str) -> None:
    """Nothing, if the source is there, or no file or folder.

    Raises:
        SourceError: there is no file or folder of this name, with what looks like it, or none that matches it.
    """
    if classify(spec) not in (SourceKind.FILE, SourceKind.IMAGES) or spec == PIPE:
        return
    spec = without_file_scheme(spec)
    path = Path(expand_user(spec))
    if "\0" not in spec and (os.path.lexists(path) or (is_glob(spec) and matching_paths(str(path)))):
        return
    if is_glob(spec):
        raise SourceError(f"{shown_name(spec)}: nothing matches this pattern")
    near = near_names(path)
    if near:
        hint = f"did you mean {' or '.join(shown_name(name) for name in near)}?"
    elif os.path.isdir(path.parent):
        hint = f"accepted: {ACCEPTED}"
    else:
        hint = f"there is no folder {shown_name(str(path.parent))} either"
    raise SourceError(f"{shown_name(spec)}: no such file; {hint}")
