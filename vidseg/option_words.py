"""Which option a word means: what other tools call it, or the name spelled most like it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_MEANT: dict[str, tuple[str, ...]] = {
    "output": ("out", "out_file", "output_file", "output_path", "save", "save_video", "write", "dst", "export"),
    "overwrite": ("force", "yes", "replace", "exist_ok", "clobber"),
    "show": ("display", "preview", "window", "gui", "imshow", "play"),
    "serve": ("web", "http", "browser", "port", "server"),
    "save_masks": ("masks", "save_mask", "export_masks", "label_maps", "save_labels", "save_png"),
    "save_json": ("json", "save_detections", "detections", "save_txt", "boxes"),
    "save_csv": ("csv", "table", "save_table", "shares"),
    "conf": ("confidence", "conf_thres", "threshold", "score", "score_thr", "conf_threshold"),
    "min_confidence": ("confidence", "threshold", "min_score"),
    "matte": ("cutout", "cut_out", "alpha_matte", "transparent", "rembg"),
    "codec": ("vcodec", "encoder", "video_codec"),
    "crf": ("quality", "qp", "bitrate", "qscale"),
    "audio": ("sound", "mute", "acodec", "an"),
    "model": ("network", "arch", "backbone", "checkpoint"),
    "weights": ("checkpoint", "ckpt", "pretrained", "load"),
    "device": ("gpu", "cuda", "cpu", "gpus", "use_gpu"),
    "precision": ("dtype", "fp16", "amp", "quantized", "int8"),
    "half": ("fp16", "bf16"),
    "size": ("resize", "scale", "downscale", "rescale", "width", "height", "output_size", "resolution"),
    "imgsz": ("img_size", "image_size", "input_size", "resolution", "inference_size"),
    "batch": ("batch_size", "bs"),
    "threads": ("cores", "num_threads", "cpus"),
    "workers": ("processes", "num_workers", "nproc"),
    "jobs": ("parallel", "processes", "num_workers"),
    "stride": ("skip", "skip_frames", "every", "frame_skip", "interval", "step"),
    "limit": ("frames", "max_frames", "num_frames", "vframes", "count"),
    "smooth": ("temporal", "stabilize", "filter", "calm"),
    "opacity": ("transparency", "blend", "overlay", "mask_alpha"),
    "view": ("mode", "style", "side_by_side", "mask_only"),
    "labels": ("names", "show_labels", "text", "class_names"),
    "contours": ("edges", "outline", "borders", "boundaries"),
    "classes": ("class", "only", "include", "filter", "categories"),
    "ignore_classes": ("exclude", "skip_classes", "without"),
    "blur_classes": ("blur", "anonymize", "anonymise", "pixelate", "privacy", "redact"),
    "color": ("colors", "colours", "class_colors"),
    "palette": ("colormap", "cmap", "colors", "colours"),
    "quiet": ("silent", "no_progress", "hide"),
    "verbose": ("debug", "log", "loglevel"),
    "config": ("cfg", "yaml", "settings", "options"),
    "reconnect": ("retries", "retry"),
    "hwaccel": ("decoder", "nvdec", "hardware"),
    "start": ("ss", "from", "begin", "seek", "offset"),
    "end": ("until", "stop"),
    "duration": ("length", "seconds", "time"),
    "steps": ("epochs", "iterations", "iters", "max_steps"),
    "lr": ("learning_rate", "lr0"),
    "val": ("validation", "test", "eval"),
    "holdout": ("split", "val_split"),
    "out": ("output", "save_dir", "project", "log_dir", "work_dir"),
    "out_dir": ("output", "output_dir", "out", "save_dir"),
}
"""Common names of options in other tools."""


_LIKE_A_WORD = 0.8
"""Likeness from which on a word is taken for a misspelt one of those above; they are many, and short."""


def nearest_options(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> list[str]:
    """At most three of the known options, the nearest first: what the word means, then what is spelled like it."""
    near = {name: _nearness(word, name) for name in known}
    return sorted((name for name in near if near[name] >= cutoff), key=lambda name: -near[name])[:3]


def _nearness(word: str, name: str) -> float:
    """2: the word means this option; up to 1: how alike it, or a word that means it, is spelled."""
    meant = _MEANT.get(name, ())
    if word in meant:
        return 2.0
    like = [difflib.SequenceMatcher(None, word, other).ratio() for other in meant]
    spelled = difflib.SequenceMatcher(None, word, name).ratio()
    return max(spelled, *(ratio for ratio in like if ratio >= _LIKE_A_WORD), 0.0)
