"""The options of a run: one table of defaults, checks and help texts, shared by every way of setting them.

The command line (`vidseg.cli.options`) and the schema of config files (`vidseg.presets`) are generated from the table;
`vidseg.configure` turns the values that a user gives into a `RunConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import partial

from vidseg import defaults
from vidseg.names import PIPE, url_scheme
from vidseg.option import (
    ADDRESS,
    CLASS_LIST,
    CROP,
    DEVICE,
    FLAG,
    FRAME_SIZE,
    HWACCEL,
    PATH,
    PICTURE_SIZE,
    PRECISION,
    QUARTER_TURNS,
    TEXT,
    TEXTS,
    TIME_OR_SIZE,
    TOKEN,
    Option,
    choice,
    integer,
    matching,
    moment,
    number,
    number_or,
    option,
    whole_or,
)
from vidseg.picture_size import MAX_PIXELS

WINNER_QUERY = "winner-query"

_RATE = number(0, 1000, above=True)
_SECONDS = number(0, 3600, above=True)

_output = partial(option, panel="Output")
_model = partial(option, panel="Model")
_frames = partial(option, panel="Frames")
_range = partial(option, metavar="TIME", panel="Frames", redraws=True)
_live = partial(option, panel="Live sources")
_picture = partial(option, panel="Picture", redraws=True)
_other = partial(option, panel="Settings and messages")


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Every option of `vidseg run`. None means "not given": the run decides, and reports its choice.

    The help lists them in this order. A new option is one entry here and nothing else.
    """

    source: str | None = option(
        None,
        TEXT,
        "Video file, URL (rtsp, rtmp, http, udp, srt), cam0, folder or glob of images, image, test, or - (a pipe). "
        "Several files are done one after the other, streams and cameras shown in a grid.",
        "SOURCE",
        single=True,
    )
    more_sources: tuple[str, ...] = option((), TEXTS, "More sources.", single=True)
    grid: bool = option(False, FLAG, "Show files in one picture.", panel="Output", switch_off=False, single=True)

    output: str | None = _output(
        None,
        PATH,
        "Video file, image, frames_%05d.png, folder/ (gets NAME_annotated.mp4, or pictures), live.m3u8 (HLS), "
        "rtsp:// rtmp:// udp:// srt://, or - (a pipe)",
        "OUT",
        also=("-o",),
        short=True,
        single=True,
        redraws=True,
    )
    format: str | None = _output(
        None,
        choice("matroska", "mpegts", "nut", "y4m"),
        "What -o - writes; default {default}; y4m has no audio",
        "{choices}",
        unset="matroska",
        single=True,
        redraws=True,
    )
    pace: bool | None = _output(
        None,
        FLAG,
        "Play a file at its own speed; default {default}",
        unset="only when sending to a URL",
        single=True,
        redraws=True,
    )
    show: bool = _output(
        False, FLAG, "Show a window; press h in it for a list of keys.", short=True, single=True, redraws=True
    )
    serve: str | None = _output(
        None, ADDRESS, "Serve a live web page, by default on localhost.", "[HOST:]PORT", short=True, single=True
    )
    serve_token: str | None = _output(
        None,
        TOKEN,
        "Token that viewers need; default {default}",
        "TEXT",
        unset="random, or none on localhost",
        single=True,
        secret=True,
    )
    record_dir: str | None = _output(None, PATH, "Folder for recordings of what is watched.", "DIR", single=True)
    metrics: str | None = _output(None, ADDRESS, "Serve metrics for Prometheus.", "[HOST:]PORT", single=True)
    save_masks: str | None = _output(
        None,
        PATH,
        "Save class ids (0-149, 255: no label), as one PNG per frame or one lossless video.",
        "DIR|FILE.mkv",
        short=True,
    )
    save_confidence: str | None = _output(None, PATH, "Save the model's confidence, 0 to 255.", "DIR|FILE.mkv")
    matte: tuple[str, ...] = _output(
        (), CLASS_LIST, "Write only these, cut out, to OUT: .mov, .webm, PNGs.", "A,B", redraws=True
    )
    feather: float = _output(
        1.5, number(0, 100), "Softness of the matte's edges; default {default}; 0: hard", "PX", redraws=True
    )
    save_json: str | None = _output(None, PATH, "Save detections, one line of JSON per frame.", "FILE", short=True)
    json_masks: str = _output(
        "png", choice("png", "rle", "none"), "Format of masks in --save-json; default {default}", "{choices}"
    )
    conf: float | None = _output(
        None,
        number(0, 1),
        f"Minimum confidence in --save-json; default {{default}}; with --rule {WINNER_QUERY} also of what gets a label",
        "0-1",
        unset=f"{defaults.CONF:g}",
    )
    mask_score: bool = _output(
        False, FLAG, "Multiply a query's confidence by the mean of its mask, as Focoos can.", flag=False
    )
    save_csv: str | None = _output(None, PATH, "Save the share of pixels per class, one row per frame.", "FILE")
    save_parquet: str | None = _output(None, PATH, "The same table as Parquet; needs pyarrow.", "FILE")
    save_plot: str | None = _output(None, PATH, "Draw that table: shares over time.", "FILE.png")
    stats: str | None = _output(None, PATH, "Save counts and timings as JSON.", "FILE")
    resume: bool = _output(
        False, FLAG, "Keep finished chunks in OUT.resume, so that the same command continues a run.", single=True
    )
    segment_seconds: float = _output(
        10.0, _SECONDS, "With --resume: length of a chunk; default {default}", "S", single=True
    )
    workers: int | None = _output(
        None, integer(1, 256), "Split one video among N processes; default {default}", "N", unset="1", single=True
    )
    overlap: float | str | None = _output(
        None,
        number_or("scene", 0, 3600),
        "With --workers: seconds that each process reads before its part to warm up smoothing; default {default}; "
        "scene: parts begin at scene cuts, so that labels equal those of a single pass exactly",
        "S|scene",
        unset=f"{defaults.MEMORIES} times --smooth-seconds ({defaults.MEMORIES * defaults.MEMORY_SECONDS:g})",
        single=True,
    )
    overwrite: bool = _output(
        False, FLAG, "Replace existing outputs; default {default}", also=("-y/-n",), short=True, redraws=True
    )
    size: str | None = _output(
        None, PICTURE_SIZE, "Size of OUT; for the model's input see --imgsz.", "W|WxH|N%", redraws=True
    )
    enlarge: bool = _output(False, FLAG, "Let --size enlarge small pictures.", switch_off=False, redraws=True)
    fps: float | None = _output(
        None,
        _RATE,
        "Constant rate of OUT: frames repeat or are dropped, images play at it.",
        "R",
        redraws=True,
    )
    split: str | None = _output(None, TIME_OR_SIZE, "Begin a file this often: rec_%H%M.mp4.", "1h|2GB", single=True)
    codec: str | None = _output(
        None,
        TEXT,
        "h264, hevc, av1, vp9, ffv1, mjpeg, prores, or an FFmpeg encoder; default {default}. If a hardware "
        "encoder (h264_nvenc, ...) is unavailable, its software counterpart is used",
        unset="depends on the container",
        redraws=True,
    )
    crf: int | None = _output(
        None,
        integer(0, 63),
        "Quality; lower is better, with larger files; default {default}",
        "N",
        unset=f"{defaults.H264_CRF} for h264, the encoder's own for others",
        redraws=True,
    )
    encoder_preset: str | None = _output(
        None,
        TEXT,
        "Encoder speed: for h264 ultrafast ... veryslow, default {default}; other encoders have names of their own",
        unset=defaults.H264_PRESET,
        redraws=True,
    )
    audio: str = _output(
        "copy",
        choice("copy", "none"),
        "The source's audio; default {default}; re-encoded if the source is live or the output is a URL",
        "{choices}",
        redraws=True,
    )

    model: str = _model(
        "m2f-mobile-ade",
        TEXT,
        "A name from `vidseg models`, or a network file; default {default}",
        also=("-m",),
        short=True,
        redraws=True,
    )
    weights: str | None = _model(None, TEXT, "Your own weights (.pth, .pt, .safetensors).", "FILE", redraws=True)
    trust_model: bool = _model(
        False, FLAG, "Run a TorchScript file; it can write to any of your files, so trust its author.", switch_off=False
    )
    device: str = _model(
        "auto",
        DEVICE,
        "auto, cpu, cuda, cuda:N or N, mps; of network files cuda, tensorrt, intel:gpu, intel:npu, coreml, directml; "
        "default {default}",
        also=("-d",),
        short=True,
    )
    runtime: str = _model(
        "auto",
        choice("auto", "torch", "openvino", "onnxruntime", "torch-compile"),
        "{choices}; default {default}, the fastest installed",
    )
    precision: str = _model(
        "auto",
        PRECISION,
        "auto, fp32, fp16, bf16, half, int8; default {default}: the fastest with good labels",
    )
    half: bool = _model(False, FLAG, "Use 16-bit numbers: float16, or bfloat16 on a CPU.", switch_off=False)
    imgsz: int | None = _model(
        None,
        integer(32, 4096),
        "Long side of the model's input (for that of OUT: --size); default {default}",
        "N",
        also=("--im-size",),
        unset="depends on model and device",
        short=True,
    )
    short_side: int | str | None = _model(
        None, whole_or("published", 32, 4096), "Short side of it instead; published: as for the published mIoU.", "N"
    )
    label_set: str | None = _model(
        None, TEXT, "Classes of a network file: ade20k, cityscapes, voc, coco, or a file that lists them.", "NAME|FILE"
    )
    tiles: str | None = _model(
        None,
        matching("[1-8]x[1-8]", "columns x rows, up to 8x8, such as 2x2"),
        "Show the model each frame in so many overlapping windows, for 4K.",
        "CxR",
    )
    rule: str = _model(
        "semantic", choice("semantic", WINNER_QUERY), "How a pixel gets its label: {choices}; default {default}"
    )
    min_confidence: float | None = _model(
        None, number(0, 1), "Leave pixels unlabelled below this confidence.", "0-1", redraws=True
    )
    batch: int | None = _model(
        None,
        integer(1, 64),
        "Frames per model call; default {default}",
        "N",
        unset=f"1; for files {defaults.CUDA_BATCH} on CUDA",
    )
    threads: int | None = _model(
        None, integer(1, 256), "CPU threads of the model; default {default}", "N", unset="leaves some cores free"
    )

    stride: int | str | None = _frames(
        None,
        whole_or("auto", 1, 1000),
        "Segment every Nth frame; the others reuse the last masks; auto: as often as the machine can; "
        "default {default}",
        "N",
        also=("--vid-stride",),
        unset="1, or auto for a live source that is watched or sent to a URL",
        short=True,
    )
    infer_fps: float | None = _frames(None, _RATE, "Segment at most R frames per second.", "R")
    propagate: str = _frames(
        "flow",
        choice("flow", "hold"),
        "With --stride: move the last masks with the picture, or keep them still; default {default}",
        "{choices}",
    )
    smooth: bool | None = _frames(None, FLAG, "Reduce flicker over time; default {default}", unset="on for video")
    smooth_seconds: float = _frames(
        defaults.MEMORY_SECONDS, number(0, 10, above=True), "Time constant of --smooth; default {default}", "S"
    )
    max_fps: float | None = _frames(None, _RATE, "Skip frames above this rate.", "R")
    start: float | None = _range(
        None, moment(), "Begin here: seconds, MM:SS or 1h; negative: from the end.", also=("--ss",), short=True
    )
    end: float | None = _range(
        None, moment(), "End before this time, counted as for --start.", also=("--to",), short=True
    )
    duration: float | None = _range(None, moment(length=True), "End after this long, also live.", also=("-t",))
    crop: str | None = _frames(None, CROP, "Use only this part of the picture.", "WxH+X+Y", redraws=True)
    rotate: int | None = _frames(None, QUARTER_TURNS, "Turn clockwise, after --crop.", "90|180|270", redraws=True)
    mirror: bool = _frames(False, FLAG, "Swap left and right, after --rotate.", switch_off=False, redraws=True)
    limit: int | None = _frames(None, integer(1, 10**9), "Stop after N frames.", "N", redraws=True)
    rtsp_transport: str = _frames("tcp", choice("tcp", "udp"), "Transport for RTSP; default {default}", "{choices}")
    quality: int | None = _frames(None, integer(72, 8640), "Lines of web videos; default {default}", "N", unset="1080")
    max_pixels: int = _frames(
        MAX_PIXELS,
        integer(1, 2**40),
        "Refuse image files with more pixels, before decoding them; default {default}",
        "N",
    )
    hwaccel: str = _frames(
        "none",
        HWACCEL,
        "Decode in hardware where possible: auto, cuda, videotoolbox, vaapi; default {default}",
        "KIND",
    )
    strict: bool = _frames(False, FLAG, "Exit with 1 if a file is damaged; default {default}", redraws=True)
    timeout: float = _frames(10.0, _SECONDS, "Longest silence of a stream; default {default}", "S", redraws=True)

    live: str = _live(
        "auto",
        choice("auto", "every-frame", "newest"),
        "Process every frame, or only the newest and drop the rest; default {default}: newest if live",
        "{choices}",
    )
    max_staleness: float = _live(0.5, _SECONDS, "Live: skip frames older than this; default {default}", "S")
    reconnect: str | None = _live(
        None,
        whole_or("always", 0, 10**6, keep_text=True),
        "Connection attempts in a row, for sources and for the receiver of -o; 0: never reconnect; default {default}",
        "N|always",
        unset="always, once connected",
        redraws=True,
    )
    camera_size: str | None = _live(None, FRAME_SIZE, "Size to request from a camera.", "WxH")
    camera_fps: float | None = _live(None, _RATE, "Frame rate to request from a camera.", "R")
    camera_format: str | None = _live(
        None,
        choice("mjpeg", "yuyv", "nv12", "h264"),
        "{choices}; default {default}",
        "F",
        unset=f"the camera's own, or {defaults.CAMERA_FORMAT} with --camera-size",
    )

    view: str = _picture(
        "overlay",
        choice("overlay", "mask", "side", "stack", "split", "confidence"),
        "{choices}; default {default}",
        also=("--visualize",),
        short=True,
    )
    opacity: float | None = _picture(
        None,
        number(0, 1),
        "Opacity of the colours; default {default}",
        "0-1",
        also=("--alpha",),
        unset=f"{defaults.OPACITY:g}, or 0 with an effect",
    )
    contours: bool = _picture(False, FLAG, "Draw outlines around regions.")
    legend: bool = _picture(False, FLAG, "Draw a legend of the classes in view, or of --view confidence.")
    labels: bool = _picture(False, FLAG, "Write class names on regions.")
    legend_place: str = _picture(
        "top-right",
        choice("top-right", "top-left", "bottom-right", "bottom-left"),
        "{choices}; default {default}",
        "CORNER",
    )
    text_size: float = _picture(1.0, number(0.5, 4), "Scale the legend and names by F; default {default}", "F")
    palette: str | None = _picture(None, TEXT, "Colours: ade20k, vivid, or a CSV of name,colour", "NAME|FILE")
    color: tuple[str, ...] = _picture((), CLASS_LIST, "Colours of classes.", "A=red|#RRGGBB,...", also=("--colour",))
    classes: tuple[str, ...] = _picture(
        (), CLASS_LIST, "Colour only these: names, ids, or groups such as vehicle.", "A,B", short=True
    )
    ignore_classes: tuple[str, ...] = _picture(
        (), CLASS_LIST, "Leave these uncoloured.", "A,B", also=("--ignore-class",)
    )
    blur_classes: tuple[str, ...] = _picture((), CLASS_LIST, "Make these classes unrecognisable.", "A,B")
    blur_style: str = _picture(
        "pixelate", choice("pixelate", "blur", "fill"), "pixelate, blur, or fill (black); default {default}", "STYLE"
    )
    blur_margin: int | None = _picture(
        None,
        integer(0, 1000),
        "Hide more around them; default {default}",
        "PX",
        unset=f"short side / {defaults.MARGIN_DIVISOR}",
    )
    background: str | None = _picture(None, TEXT, "New background: blur, grey, a colour, or an image.", "WHAT")
    foreground: tuple[str, ...] = _picture((), CLASS_LIST, "With --background: the classes that stay.", "A,B")
    highlight: tuple[str, ...] = _picture((), CLASS_LIST, "Turn everything grey except these classes.", "A,B")

    preset: str | None = _other(
        None, TEXT, "Use a named set of options; see `vidseg presets`.", also=("-p",), short=True, redraws=True
    )
    quiet: bool = _other(False, FLAG, "Print errors only.", also=("-q",), switch_off=False, redraws=True)
    verbose: bool = _other(False, FLAG, "Also print what the run decided.", also=("-v",), switch_off=False)

    @property
    def keeps_confidence(self) -> bool:
        """True if an output shows or saves the confidence itself, beyond leaving pixels unlabelled."""
        # the web page then has a button for it
        watched = self.min_confidence is not None and self.serve is not None and not self.more_sources
        return self.view == "confidence" or self.save_confidence is not None or watched

    @property
    def sent(self) -> bool:
        """True if the output is a URL rather than a file."""
        return url_scheme(self.output or "") is not None

    @property
    def chunk_options(self) -> tuple[str, ...]:
        """The options given that have the outputs made in chunks."""
        return (*(["--resume"] if self.resume else []), *(["--workers"] if (self.workers or 1) > 1 else []))

    @property
    def piped(self) -> bool:
        """True if the output is standard output."""
        return self.output == PIPE


OPTIONS: Mapping[str, Option] = {item.name: item.metadata["option"] for item in fields(RunConfig)}
"""The table by name, in the order of the help."""
SECRETS = frozenset(name for name, entry in OPTIONS.items() if entry.secret)
"""Options whose value is never printed or written."""
SINGLE_RUN_OPTIONS = frozenset(name for name, entry in OPTIONS.items() if entry.single)
"""Those that make no sense for many files at once."""
