"""`vidseg run`: one source in, or several at once, annotated video, pictures, masks or a window out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from vidseg.config import option_names

_MODEL, _FRAMES, _OUTPUT, _PICTURE, _OTHER = "Model", "Frames", "Output", "Picture", "Settings and messages"
_LIVE = "Live sources"


def _option(*names: str, panel: str, help_text: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, rich_help_panel=panel, help=help_text, metavar=metavar, show_default=False)


def run(
    source: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SOURCE",
            help="Video file, URL (rtsp, rtmp, http, udp, srt), cam0, folder or glob of images, image, or test. "
            "Several videos, streams or cameras are seen together in a grid.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        _option(
            "--output",
            "-o",
            panel=_OUTPUT,
            metavar="OUT",
            help_text="Video file, image, frames_%05d.png, folder/, live.m3u8 (HLS), or rtsp:// rtmp:// udp:// srt://",
        ),
    ] = None,
    pace: Annotated[
        bool | None,
        _option("--pace/--no-pace", panel=_OUTPUT, help_text="A file plays at its own speed; default when sent on"),
    ] = None,
    show: Annotated[
        bool | None, _option("--show/--no-show", panel=_OUTPUT, help_text="Show a window; press h in it for its keys.")
    ] = None,
    serve: Annotated[
        str | None,
        _option(
            "--serve",
            panel=_OUTPUT,
            metavar="[HOST:]PORT",
            help_text="A web page with the live video; default host local.",
        ),
    ] = None,
    serve_token: Annotated[
        str | None,
        _option("--serve-token", panel=_OUTPUT, metavar="TEXT", help_text="What viewers must know; default by address"),
    ] = None,
    record_dir: Annotated[
        str | None,
        _option("--record-dir", panel=_OUTPUT, metavar="DIR", help_text="Where the page's record button records."),
    ] = None,
    metrics: Annotated[
        str | None,
        _option("--metrics", panel=_OUTPUT, metavar="[HOST:]PORT", help_text="Figures of the run for Prometheus."),
    ] = None,
    save_masks: Annotated[
        str | None,
        _option(
            "--save-masks",
            panel=_OUTPUT,
            metavar="DIR|FILE.mkv",
            help_text="Class ids (0-149, 255 none): a PNG per frame, or one lossless video.",
        ),
    ] = None,
    save_confidence: Annotated[
        str | None,
        _option("--save-confidence", panel=_OUTPUT, metavar="DIR|FILE.mkv", help_text="How sure it is, 0 to 255."),
    ] = None,
    matte: Annotated[
        str | None,
        _option("--matte", panel=_OUTPUT, metavar="A,B", help_text="OUT is these classes cut out: .mov, .webm, PNGs."),
    ] = None,
    feather: Annotated[
        float | None,
        _option("--feather", panel=_OUTPUT, metavar="PX", help_text="Softness of a matte's edges; default 1.5, 0 hard"),
    ] = None,
    save_json: Annotated[
        str | None,
        _option("--save-json", panel=_OUTPUT, metavar="FILE", help_text="Detections, one line of JSON per frame."),
    ] = None,
    json_masks: Annotated[
        str | None,
        _option("--json-masks", panel=_OUTPUT, metavar="png|rle|none", help_text="Masks in --save-json; default png"),
    ] = None,
    conf: Annotated[
        float | None,
        _option("--conf", panel=_OUTPUT, metavar="0-1", help_text="Least confidence in --save-json; default 0.5"),
    ] = None,
    save_csv: Annotated[
        str | None,
        _option("--save-csv", panel=_OUTPUT, metavar="FILE", help_text="Share of pixels per class and frame."),
    ] = None,
    save_parquet: Annotated[
        str | None,
        _option("--save-parquet", panel=_OUTPUT, metavar="FILE", help_text="The same as Parquet; needs pyarrow."),
    ] = None,
    stats: Annotated[
        str | None, _option("--stats", panel=_OUTPUT, metavar="FILE", help_text="Counts and timings as JSON.")
    ] = None,
    resume: Annotated[
        bool | None,
        _option(
            "--resume/--no-resume",
            panel=_OUTPUT,
            help_text="Keep finished pieces in OUT.resume; after a kill the same command goes on.",
        ),
    ] = None,
    segment_seconds: Annotated[
        float | None,
        _option(
            "--segment-seconds", panel=_OUTPUT, metavar="S", help_text="With --resume: length of a piece; default 10"
        ),
    ] = None,
    workers: Annotated[
        int | None,
        _option("--workers", panel=_OUTPUT, metavar="N", help_text="Share one video among N processes; default 1"),
    ] = None,
    overlap: Annotated[
        str | None,
        _option(
            "--overlap",
            panel=_OUTPUT,
            metavar="S|scene",
            help_text="With --workers: seconds by which each warms up its smoothing before its part; default 25 "
            "times --smooth-seconds (3.75); scene: parts begin at scene cuts, for labels of one pass to the last bit",
        ),
    ] = None,
    overwrite: Annotated[
        bool | None,
        _option(
            "--overwrite/--no-overwrite", "-y/-n", panel=_OUTPUT, help_text="Replace outputs that exist; default no"
        ),
    ] = None,
    codec: Annotated[
        str | None,
        _option(
            "--codec",
            panel=_OUTPUT,
            help_text="h264, hevc, av1, vp9, ffv1, mjpeg, prores, or an FFmpeg encoder; default by container. One of "
            "hardware that is not here (h264_nvenc, ...) becomes software of the same codec",
        ),
    ] = None,
    crf: Annotated[
        int | None,
        _option(
            "--crf",
            panel=_OUTPUT,
            metavar="N",
            help_text="Quality: lower is better and larger; default 23 for h264, the codec's own for others",
        ),
    ] = None,
    encoder_preset: Annotated[
        str | None,
        _option(
            "--encoder-preset",
            panel=_OUTPUT,
            help_text="Encoder speed: for h264 ultrafast ... veryslow, default veryfast; others have their own words",
        ),
    ] = None,
    audio: Annotated[
        str | None,
        _option(
            "--audio",
            panel=_OUTPUT,
            metavar="copy|none",
            help_text="The source's sound; default copy; encoded anew where it is live or sent on",
        ),
    ] = None,
    model: Annotated[
        str | None,
        _option(
            "--model", "-m", panel=_MODEL, help_text="See `vidseg models`, or a network file; default fai-m2f-n-ade"
        ),
    ] = None,
    weights: Annotated[
        str | None,
        _option("--weights", panel=_MODEL, metavar="FILE", help_text="Your own weights (.pth, .pt, .safetensors)."),
    ] = None,
    trust_model: Annotated[
        bool | None,
        _option("--trust-model", panel=_MODEL, help_text="Run a TorchScript file, which may write any file of yours."),
    ] = None,
    device: Annotated[
        str | None, _option("--device", "-d", panel=_MODEL, help_text="auto, cpu, cuda, cuda:N, mps; default auto")
    ] = None,
    runtime: Annotated[
        str | None,
        _option(
            "--runtime",
            panel=_MODEL,
            help_text="auto, torch, openvino, onnxruntime, torch-compile; default auto, the fastest installed",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        _option("--precision", panel=_MODEL, help_text="auto, float32, float16, bfloat16, int8, fast; default auto"),
    ] = None,
    imgsz: Annotated[
        int | None, _option("--imgsz", "--im-size", panel=_MODEL, metavar="N", help_text="Long side the model sees.")
    ] = None,
    short_side: Annotated[
        int | None, _option("--short-side", panel=_MODEL, metavar="N", help_text="Its short side (network files).")
    ] = None,
    label_set: Annotated[
        str | None,
        _option(
            "--label-set", panel=_MODEL, metavar="NAME|FILE", help_text="Its classes: ade20k, cityscapes, voc, coco."
        ),
    ] = None,
    rule: Annotated[
        str | None,
        _option(
            "--rule", panel=_MODEL, help_text="How a pixel gets its label: semantic, winner-query; default semantic"
        ),
    ] = None,
    min_confidence: Annotated[
        float | None,
        _option("--min-confidence", panel=_MODEL, metavar="0-1", help_text="What is said with less gets no label."),
    ] = None,
    batch: Annotated[
        int | None,
        _option(
            "--batch",
            panel=_MODEL,
            metavar="N",
            help_text="Frames at once; default 1; for files 8 on CUDA, 2 for a small model on OpenVINO",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        _option("--threads", panel=_MODEL, metavar="N", help_text="CPU threads of the model; default leaves some free"),
    ] = None,
    stride: Annotated[
        str | None,
        _option(
            "--stride",
            "--vid-stride",
            panel=_FRAMES,
            metavar="N",
            help_text="Segment every Nth frame; all are written, with the last masks; auto: what the machine can do; "
            "default 1, for live sources watched or sent on auto",
        ),
    ] = None,
    infer_fps: Annotated[
        float | None,
        _option("--infer-fps", panel=_FRAMES, metavar="R", help_text="Segment at most so many frames per second."),
    ] = None,
    propagate: Annotated[
        str | None,
        _option(
            "--propagate",
            panel=_FRAMES,
            metavar="flow|hold",
            help_text="With --stride: the last masks follow the motion, or stay; default flow",
        ),
    ] = None,
    smooth: Annotated[
        bool | None,
        _option("--smooth/--no-smooth", panel=_FRAMES, help_text="Calm labels over time; default on for video"),
    ] = None,
    smooth_seconds: Annotated[
        float | None,
        _option("--smooth-seconds", panel=_FRAMES, metavar="S", help_text="Memory of --smooth; default 0.15"),
    ] = None,
    max_fps: Annotated[
        float | None, _option("--max-fps", panel=_FRAMES, metavar="R", help_text="Leave out frames above this rate.")
    ] = None,
    limit: Annotated[
        int | None, _option("--limit", panel=_FRAMES, metavar="N", help_text="Stop after N frames.")
    ] = None,
    rtsp_transport: Annotated[
        str | None, _option("--rtsp-transport", panel=_FRAMES, metavar="tcp|udp", help_text="For RTSP; default tcp")
    ] = None,
    max_pixels: Annotated[
        int | None,
        _option(
            "--max-pixels",
            panel=_FRAMES,
            metavar="N",
            help_text="Refuse picture files of more pixels, before they are decoded; default 200000000.",
        ),
    ] = None,
    hwaccel: Annotated[
        str | None,
        _option(
            "--hwaccel",
            panel=_FRAMES,
            metavar="KIND",
            help_text="Decode on a device, what it can: auto, cuda, videotoolbox, vaapi; default none",
        ),
    ] = None,
    strict: Annotated[
        bool | None,
        _option("--strict/--no-strict", panel=_FRAMES, help_text="Exit 1 where a file is damaged; default no"),
    ] = None,
    timeout: Annotated[
        float | None,
        _option("--timeout", panel=_FRAMES, metavar="S", help_text="Seconds a stream may stay silent; default 10"),
    ] = None,
    live: Annotated[
        str | None,
        _option(
            "--live",
            panel=_LIVE,
            metavar="auto|every-frame|newest",
            help_text="Keep all frames, or the newest and count the rest; default auto: newest if live",
        ),
    ] = None,
    max_staleness: Annotated[
        float | None,
        _option("--max-staleness", panel=_LIVE, metavar="S", help_text="Show nothing older, live; default 0.5"),
    ] = None,
    reconnect: Annotated[
        str | None,
        _option(
            "--reconnect",
            panel=_LIVE,
            metavar="N|always",
            help_text="Tries in a row, also for the first connection; default: no end once it was there; 0: never; "
            "also for the receiver of -o",
        ),
    ] = None,
    camera_size: Annotated[
        str | None, _option("--camera-size", panel=_LIVE, metavar="WxH", help_text="Size to ask a camera for.")
    ] = None,
    camera_fps: Annotated[
        float | None, _option("--camera-fps", panel=_LIVE, metavar="R", help_text="Rate to ask a camera for.")
    ] = None,
    camera_format: Annotated[
        str | None,
        _option(
            "--camera-format",
            panel=_LIVE,
            metavar="F",
            help_text="mjpeg, yuyv, nv12, h264; default the camera's own, or mjpeg with --camera-size",
        ),
    ] = None,
    view: Annotated[
        str | None,
        _option("--view", "--visualize", panel=_PICTURE, help_text="overlay, mask, side, confidence; default overlay"),
    ] = None,
    opacity: Annotated[
        float | None,
        _option(
            "--opacity",
            "--alpha",
            panel=_PICTURE,
            metavar="0-1",
            help_text="Of the colours; default 0.5, 0 with an effect",
        ),
    ] = None,
    contours: Annotated[
        bool | None, _option("--contours/--no-contours", panel=_PICTURE, help_text="Draw the edges of regions.")
    ] = None,
    legend: Annotated[
        bool | None, _option("--legend/--no-legend", panel=_PICTURE, help_text="List the classes in the picture.")
    ] = None,
    labels: Annotated[
        bool | None, _option("--labels/--no-labels", panel=_PICTURE, help_text="Write class names on regions.")
    ] = None,
    classes: Annotated[
        str | None,
        _option("--classes", panel=_PICTURE, metavar="A,B", help_text="Colour only these (names or ids)."),
    ] = None,
    ignore_classes: Annotated[
        str | None,
        _option("--ignore-classes", "--ignore-class", panel=_PICTURE, metavar="A,B", help_text="Do not colour these."),
    ] = None,
    blur_classes: Annotated[
        str | None,
        _option("--blur-classes", panel=_PICTURE, metavar="A,B", help_text="Make these unrecognisable."),
    ] = None,
    blur_style: Annotated[
        str | None,
        _option(
            "--blur-style", panel=_PICTURE, metavar="STYLE", help_text="pixelate, blur, fill (black); default pixelate"
        ),
    ] = None,
    blur_margin: Annotated[
        int | None,
        _option("--blur-margin", panel=_PICTURE, metavar="PX", help_text="Blur so far around; default short side / 60"),
    ] = None,
    background: Annotated[
        str | None,
        _option("--background", panel=_PICTURE, metavar="WHAT", help_text="blur, grey, '#RRGGBB', or a picture file."),
    ] = None,
    foreground: Annotated[
        str | None,
        _option("--foreground", panel=_PICTURE, metavar="A,B", help_text="With --background: what stays."),
    ] = None,
    highlight: Annotated[
        str | None,
        _option("--highlight", panel=_PICTURE, metavar="A,B", help_text="Everything but these turns grey."),
    ] = None,
    preset: Annotated[
        str | None, _option("--preset", "-p", panel=_OTHER, help_text="Named set of options; see `vidseg presets`.")
    ] = None,
    config: Annotated[
        Path | None,
        _option("--config", "-c", panel=_OTHER, metavar="FILE", help_text="YAML file with any of these options."),
    ] = None,
    quiet: Annotated[bool | None, _option("--quiet", "-q", panel=_OTHER, help_text="Print errors only.")] = None,
    verbose: Annotated[
        bool | None, _option("--verbose", "-v", panel=_OTHER, help_text="Print what was decided.")
    ] = None,
) -> None:
    """Segment a video, a stream, a camera or images.

    Examples: `vidseg run street.mp4 -o annotated.mp4`, `vidseg run cam0 --show`,
    `vidseg run clip.mp4 -o out.mp4 --preset street --stride 2`, `vidseg run photos/ -o annotated/ --save-masks masks/`,
    `vidseg run cam0 rtsp://a rtsp://b --show`.
    """
    flags = {name: value for name, value in locals().items() if name in _OPTION_NAMES}
    if source:
        flags |= {"source": source[0], "more_sources": source[1:]}
    flags |= {"stride": _number_or_word(stride), "reconnect": _number_or_word(reconnect)}

    from vidseg.presets import resolve

    settings = resolve(flags, config_file=config)

    from vidseg.app.run import run as run_app
    from vidseg.cli.console import RunConsole

    with RunConsole(quiet=settings.quiet, verbose=settings.verbose) as console:
        outcome = run_app(settings, console)
    console.summary(outcome)
    if outcome.exit_code:
        raise typer.Exit(outcome.exit_code)


def _number_or_word(text: str | None) -> int | str | None:
    """A whole number where the text is one."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return text


_OPTION_NAMES = frozenset(option_names())
