"""Which encoder goes into which container, with which options.

Defaults are chosen for speed: encoding is the slowest step on a machine without a hardware encoder. B-frames are off
everywhere: with them the mp4 muxer writes a wrong duration for variable frame rates, and they add delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

import av
from av.codec.hwaccel import HWAccel

from vidseg.defaults import H264_CRF, H264_PRESET
from vidseg.errors import SinkError, short_reason
from vidseg.frames import VideoInfo

CONTAINERS: Mapping[str, str] = {
    "mp4": "mp4",
    "m4v": "mp4",
    "mov": "mov",
    "mkv": "matroska",
    "webm": "webm",
    "avi": "avi",
    "ts": "mpegts",
    "gif": "gif",
    "webp": "webp",
}
"""File ending -> FFmpeg muxer."""

ANIMATIONS = frozenset({"gif", "webp"})
"""Muxers of moving pictures for pages and messages: their time begins at 0, and they repeat without end."""

PIPE_MUXERS: Mapping[str, str] = {
    "matroska": "matroska",
    "mpegts": "mpegts",
    "nut": "nut",
    "y4m": "yuv4mpegpipe",
}
"""What `--format` takes -> FFmpeg muxer: containers that are written from their start to their end."""

DEFAULT_CODECS: Mapping[str, str] = {"webm": "vp9", "gif": "gif", "webp": "webp", "yuv4mpegpipe": "rawvideo"}
"""Muxer -> codec where it is not h264."""

SILENT: Mapping[str, str] = {"gif": "gif", "webp": "webp", "yuv4mpegpipe": "y4m"}
"""Muxer -> its everyday name, where it holds no audio."""

COUNTED = frozenset({"avi", "yuv4mpegpipe"})
"""Muxers that know a constant frame rate only: pictures are counted from 0 on."""

_X26X_PRESETS = (
    *("ultrafast", "superfast", "veryfast", "faster", "fast"),
    *("medium", "slow", "slower", "veryslow", "placebo"),
)


_X264_DEFAULT = {"mbtree": "1", "rc-lookahead": "10", "partitions": "p8x8,i8x8,i4x4"}
"""With these superfast takes two thirds of veryfast's time, for files that are 4 to 11 % larger at the same crf (PSNR
between 0.7 dB less and 0.2 dB more; six clips of 640x360 to 1920x1080). By itself it makes them 65 % larger."""


@dataclass(frozen=True)
class Encoder:
    """One FFmpeg encoder and what may be asked of it."""

    name: str
    muxers: tuple[str, ...] | None
    """None: any that FFmpeg lets it into."""
    pix_fmt: str = "yuv420p"
    quality_options: tuple[str, ...] = ()
    quality_range: tuple[int, int] | None = None
    """None: no quality setting."""
    quality_default: int = 0
    preset_option: str = "preset"
    presets: tuple[str, ...] = ()
    preset_default: str = ""
    default_options: Mapping[str, str] = field(default_factory=dict)
    """Given with `preset_default`, and with no other."""
    fixed_options: Mapping[str, str] = field(default_factory=dict)
    full_range: bool = False
    device: str | None = None
    """Kind of the device that pictures are uploaded to; None: the encoder takes them from memory."""

    def hwaccel(self) -> dict[str, HWAccel]:
        """Arguments for PyAV that open the device; empty without one."""
        return {} if self.device is None else {"hwaccel": HWAccel(self.device)}


ENCODERS: Mapping[str, Encoder] = {
    "h264": Encoder(
        "libx264",
        ("mp4", "mov", "matroska", "avi", "mpegts", "flv", "rtsp", "nut"),
        quality_options=("crf",),
        quality_range=(0, 51),
        quality_default=H264_CRF,
        presets=_X26X_PRESETS,
        preset_default=H264_PRESET,
        default_options=_X264_DEFAULT,
        fixed_options={"bf": "0"},
    ),
    "hevc": Encoder(
        "libx265",
        ("mp4", "mov", "matroska", "mpegts", "rtsp", "nut"),
        quality_options=("crf",),
        quality_range=(0, 51),
        quality_default=28,
        presets=_X26X_PRESETS,
        preset_default="ultrafast",
        fixed_options={"x265-params": "bframes=0:log-level=error"},
    ),
    "av1": Encoder(
        "libsvtav1",
        ("mp4", "matroska", "webm"),
        quality_options=("crf",),
        quality_range=(1, 63),
        quality_default=35,
        presets=tuple(str(speed) for speed in range(14)),
        preset_default="10",
    ),
    "vp9": Encoder(
        "libvpx-vp9",
        ("webm", "matroska", "mp4"),
        quality_options=("crf",),
        quality_range=(0, 63),
        quality_default=32,
        preset_option="cpu-used",
        presets=tuple(str(speed) for speed in range(10)),
        preset_default="8",
        fixed_options={"deadline": "realtime", "row-mt": "1", "lag-in-frames": "0"},
    ),
    "mjpeg": Encoder(
        "mjpeg",
        ("avi", "mov", "matroska", "nut"),
        quality_options=("qmin", "qmax"),
        quality_range=(2, 31),
        quality_default=3,
        full_range=True,
    ),
    # RGB inside: lossless from picture to file.
    "ffv1": Encoder("ffv1", ("matroska", "avi", "nut"), pix_fmt="bgr0"),
    "prores": Encoder(
        "prores_ks",
        ("mov", "matroska"),
        pix_fmt="yuv422p10le",
        preset_option="profile",
        presets=("proxy", "lt", "standard", "hq"),
        preset_default="standard",
    ),
    "gif": Encoder("gif", ("gif",), pix_fmt="pal8"),
    "webp": Encoder("libwebp_anim", ("webp",), pix_fmt="bgra"),
    "rawvideo": Encoder("rawvideo", ("yuv4mpegpipe", "nut")),
}

ALPHA_ENCODERS: Mapping[str, tuple[str, Encoder]] = {
    "mov": (
        "prores",
        Encoder("prores_ks", ("mov",), pix_fmt="yuva444p10le", fixed_options={"profile": "4444", "alpha_bits": "16"}),
    ),
    "webm": ("vp9", replace(ENCODERS["vp9"], muxers=("webm",), pix_fmt="yuva420p")),
    "webp": ("webp", ENCODERS["webp"]),
}
"""Muxer -> (codec, encoder) that keeps how opaque each pixel is."""

_ALIASES: Mapping[str, str] = {"h265": "hevc"} | {encoder.name: codec for codec, encoder in ENCODERS.items()}

HARDWARE: Mapping[str, Encoder] = {
    "nvenc": Encoder(
        "",
        None,
        quality_options=("cq",),
        quality_range=(0, 51),
        quality_default=23,
        presets=tuple(f"p{speed}" for speed in range(1, 8)),
        preset_default="p4",
        fixed_options={"rc": "vbr", "bf": "0"},
    ),
    "qsv": Encoder(
        "",
        None,
        pix_fmt="nv12",
        quality_options=("global_quality",),
        quality_range=(1, 51),
        quality_default=25,
        presets=_X26X_PRESETS[2:-1],
        preset_default="veryfast",
        fixed_options={"bf": "0"},
    ),
    "vaapi": Encoder(
        "",
        None,
        pix_fmt="nv12",
        quality_options=("global_quality",),
        quality_range=(1, 51),
        quality_default=25,
        fixed_options={"rc_mode": "CQP", "bf": "0"},
        device="vaapi",
    ),
    # how the quality of these is set differs by codec and machine: they choose it themselves
    "amf": Encoder(
        "",
        None,
        pix_fmt="nv12",
        presets=("speed", "balanced", "quality"),
        preset_default="balanced",
        fixed_options={"bf": "0"},
    ),
    "videotoolbox": Encoder("", None, pix_fmt="nv12", fixed_options={"bf": "0"}),
}
"""Ending of an encoder's name, as in h264_nvenc -> what may be asked of it."""


@dataclass(frozen=True, slots=True)
class EncodeOptions:
    """What may be asked of an encoded output. None takes the default of the container or the codec.

    Raises:
        SinkError: `audio` is unknown, or `threads` below 0; the rest depends on the output.
    """

    codec: str | None = None
    """h264, hevc, av1, vp9, mjpeg, ffv1, prores, gif, or an encoder's FFmpeg name."""
    crf: int | None = None
    """Quality, lower is better; the range depends on the codec."""
    encoder_preset: str | None = None
    """The encoder's word for its speed."""
    audio: str = "copy"
    """"copy" takes the audio of `VideoInfo.audio_path` or `VideoInfo.audio`; "none" leaves it out."""
    threads: int = 0
    """Of the encoder; 0 lets it choose."""

    def __post_init__(self) -> None:
        if self.audio not in ("copy", "none"):
            raise SinkError(f"audio '{self.audio}' is unknown; known: copy, none")
        if self.threads < 0:
            raise SinkError(f"threads {self.threads} is out of range; accepted: 0 (automatic) or more")

    def takes_audio(self, info: VideoInfo) -> bool:
        """True where the source's audio is to be in the output, as far as the container holds any."""
        return self.audio == "copy" and (info.audio_path is not None or info.audio is not None)


DEFAULT_ENCODE = EncodeOptions()


@dataclass(frozen=True)
class EncoderPlan:
    """An encoder with its options settled."""

    encoder: Encoder
    options: Mapping[str, str]

    @property
    def pix_fmt(self) -> str:
        """FFmpeg name of the pixel format that is encoded."""
        return self.encoder.pix_fmt

    @property
    def even_sides(self) -> bool:
        """True where width and height must be even: one colour sample covers 2x2 pixels."""
        return self.pix_fmt in ("yuv420p", "yuva420p", "nv12") and self.encoder.name != "mjpeg"


def muxer_of(path: str, ending: str) -> str:
    """FFmpeg muxer for a file ending without its dot. Raises SinkError listing the accepted ones."""
    muxer = CONTAINERS.get(ending.casefold())
    if muxer is None:
        known = " ".join(f".{name}" for name in CONTAINERS)
        shown = f"'.{ending}' is not a known video format" if ending else "has no file ending"
        raise SinkError(f"{path}: {shown}; accepted: {known}")
    return muxer


def plan_encoder(path: str, muxer: str, encode: EncodeOptions, size: tuple[int, int]) -> EncoderPlan:
    """The encoder for `encode` in `muxer`, with all settings checked.

    Args:
        size: (width, height) of the frames, to try out hardware encoders.
    Raises:
        SinkError: unknown codec, wrong container, crf out of range, unknown preset, hardware not there.
    """
    asked = (encode.codec or DEFAULT_CODECS.get(muxer, "h264")).casefold()
    encoder = ENCODERS.get(_ALIASES.get(asked, asked)) or _foreign_encoder(asked)
    if encoder.name not in av.codecs_available:
        raise SinkError(f"codec {asked}: this FFmpeg has no {encoder.name}; known: {', '.join(ENCODERS)}")
    if encoder.muxers is not None and muxer not in encoder.muxers:
        endings = " ".join(f".{ending}" for ending, name in CONTAINERS.items() if name in encoder.muxers) or "a pipe"
        fitting = ", ".join(name for name, other in ENCODERS.items() if other.muxers and muxer in other.muxers)
        raise SinkError(
            f"{path}: codec {asked} cannot be used in this container, only in {endings}; this one takes {fitting}"
        )
    plan = EncoderPlan(encoder, _options(asked, encoder, encode))
    if asked not in ENCODERS and asked not in _ALIASES and (problem := trial_problem(plan, size)):
        raise SinkError(f"codec {asked}: the encoder cannot be opened here ({problem}); try h264")
    return plan


def plan_alpha_encoder(path: str, muxer: str, encode: EncodeOptions) -> EncoderPlan:
    """The encoder that keeps transparency in `muxer`.

    Raises:
        SinkError: the container or the codec holds no transparency, or a setting does not fit.
    """
    accepted = "a cut-out needs .mov (ProRes 4444), .webm (VP9), .webp or images such as frames_%05d.png"
    if muxer not in ALPHA_ENCODERS:
        raise SinkError(f"{path}: this container cannot be written with transparency; {accepted}")
    fitting, encoder = ALPHA_ENCODERS[muxer]
    asked = (encode.codec or fitting).casefold()
    if _ALIASES.get(asked, asked) != fitting:
        raise SinkError(f"{path}: codec {asked} cannot be written with transparency here; leave it out: {accepted}")
    return EncoderPlan(encoder, _options(asked, encoder, encode))


def without_delay(plan: EncoderPlan) -> EncoderPlan:
    """`plan`, so that each picture comes out of the encoder at once, and key frames where they are asked for."""
    options = dict(plan.options)
    if plan.encoder.name in ("libx264", "libx265"):
        default = plan.encoder.default_options
        if default and options.items() >= default.items():
            # without a look ahead superfast needs a quarter more bits than veryfast
            options = {name: value for name, value in options.items() if name not in default}
            options["preset"] = "veryfast"
        options |= {"tune": "zerolatency", "forced-idr": "1"}
    elif plan.encoder.name.endswith("_nvenc"):
        options |= {"tune": "ull", "delay": "0", "forced-idr": "1"}
    elif plan.encoder.name.endswith(("_qsv", "_amf")):
        options |= {"async_depth": "1", "forced_idr": "1"}
    elif plan.encoder.name.endswith("_vaapi"):
        options |= {"async_depth": "1"}
    return replace(plan, options=options)


def _foreign_encoder(name: str) -> Encoder:
    """An encoder outside the table, under its FFmpeg name."""
    try:
        codec = av.Codec(name, "w")
        formats = [video_format.name for video_format in codec.video_formats or []]
    except ValueError:  # UnknownCodecError
        codec, formats = None, []
    if codec is None or codec.type != "video":
        known = ", ".join([*ENCODERS, "h265"])
        raise SinkError(f"codec '{name}' is unknown; known: {known}, or an FFmpeg encoder such as h264_nvenc")
    if (hardware := HARDWARE.get(name.rpartition("_")[2])) is not None:
        return replace(hardware, name=name)
    pix_fmt = next((wanted for wanted in ("yuv420p", "nv12") if wanted in formats), formats[0] if formats else "")
    return Encoder(name, None, pix_fmt=pix_fmt or "yuv420p")


def _options(asked: str, encoder: Encoder, encode: EncodeOptions) -> dict[str, str]:
    options, crf, preset = dict(encoder.fixed_options), encode.crf, encode.encoder_preset
    if encoder.quality_range is not None:
        quality = encoder.quality_default if crf is None else crf
        low, high = encoder.quality_range
        if not low <= quality <= high:
            raise SinkError(f"crf {quality} is out of range for {asked}; accepted: {low} (best) to {high}")
        options |= {option: str(quality) for option in encoder.quality_options}
    elif crf is not None:
        raise SinkError(f"codec {asked} takes no crf; leave it out")
    if encoder.presets:
        speed = encoder.preset_default if preset is None else preset
        if speed not in encoder.presets:
            raise SinkError(f"encoder preset '{speed}' is unknown to {asked}; known: {', '.join(encoder.presets)}")
        options[encoder.preset_option] = speed
        if speed == encoder.preset_default:
            options |= encoder.default_options
    elif preset is not None:
        raise SinkError(f"codec {asked} takes no encoder preset; leave it out")
    return options


def trial_problem(plan: EncoderPlan, size: tuple[int, int]) -> str | None:
    """Why the encoder cannot be opened here, as one of hardware that is not there; None if it can.

    Args:
        size: (width, height) of the pictures.
    """
    try:
        context = av.CodecContext.create(plan.encoder.name, "w", **plan.encoder.hwaccel())
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height = (side + side % 2 for side in size)
        context.pix_fmt, context.time_base, context.framerate = plan.pix_fmt, Fraction(1, 25), Fraction(25)
        context.options = dict(plan.options)
        context.open()
    except (av.FFmpegError, ValueError, NotImplementedError) as error:
        return short_reason(error)
    return None
