"""What a network costs whose scores are as large as the frame: its path through vidseg against its engine's time.

    python benchmarks/full_size.py [--frames 20] [--size 640x360] [--classes 150]

Makes networks that enlarge 150 maps of logits to the frame, in NCHW and NHWC, and one that gives labels. Printed is the
median CPU time of a frame in ms, on one thread: of the engine alone, and of the whole path from the frame to labels,
smoothed as videos are and not. CPU time says the same on a machine that does other work. The target is a path of at
most 1.3 times the engine's time plus what the path of the bundled network costs besides its own engine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from vidseg.config import RunConfig  # noqa: E402
from vidseg.frames import Frame, VideoInfo  # noqa: E402
from vidseg.freed_memory import keep_freed_memory  # noqa: E402
from vidseg.sources.factory import open_source  # noqa: E402
from vidseg.timing import StageTimers  # noqa: E402
from vidseg.wiring.engine import load_engine  # noqa: E402
from vidseg.wiring.reporter import SilentReporter  # noqa: E402

TARGET = 1.3
_CELL = 4


def write_network(path: Path, size_hw: tuple[int, int], classes: int, kind: str) -> Path:
    """A network with a few convolutions at stride 4 and maps enlarged to the size of its input."""
    random = np.random.default_rng(0)
    height, width = size_hw
    nodes, constants, last = [], [], "images"

    def constant(values: np.ndarray) -> str:
        constants.append(numpy_helper.from_array(values, f"c{len(constants)}"))
        return str(constants[-1].name)

    def add(operation: str, *inputs: str, **attributes: Any) -> None:
        nonlocal last
        nodes.append(helper.make_node(operation, [last, *inputs], [f"x{len(nodes)}"], **attributes))
        last = nodes[-1].output[0]

    add("AveragePool", kernel_shape=[_CELL, _CELL], strides=[_CELL, _CELL])
    channels = 3
    for into in (32, 64, 64, classes):
        side = 1 if into == classes else 3
        weights = random.normal(size=(into, channels, side, side)) * np.sqrt(2 / channels) / side
        add("Conv", constant(weights.astype(np.float32)), pads=[side // 2] * 4)
        if into != classes:
            add("Relu")
        channels = into
    add("Mul", constant(np.float32(4).reshape(())))  # as sure as a trained network
    add("Resize", "", "", constant(np.array([1, classes, height, width])), mode="linear")
    output = (TensorProto.FLOAT, (1, classes, height, width))
    if kind == "NHWC":
        add("Transpose", perm=[0, 2, 3, 1])
        output = (TensorProto.FLOAT, (1, height, width, classes))
    elif kind == "labels":
        add("ArgMax", axis=1, keepdims=0)
        add("Cast", to=TensorProto.UINT8)
        output = (TensorProto.UINT8, (1, height, width))
    nodes[-1].output[0] = "out"
    graph = helper.make_graph(
        nodes,
        "full",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, height, width))],
        [helper.make_tensor_value_info("out", *output)],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    layout = "NHW" if kind == "labels" else kind
    path.with_name(f"{path.name}.yaml").write_text(f"labels: ade20k\noutput: {{layout: {layout}}}\n")
    return path


def measure(model: str, frames: list[Frame], info: VideoInfo, *, smooth: bool | None) -> tuple[float, float]:
    """Median CPU ms a frame: of the engine, and of the whole path."""
    config = RunConfig(model=model, threads=1, precision="float32", smooth=smooth, imgsz=None)
    engine = load_engine(config, SilentReporter())
    segmenter = engine.segmenter(config, info, StageTimers())
    inside: list[float] = []
    runner = getattr(engine.runtime, "_session", None) or engine.runtime._requests  # type: ignore[union-attr]
    name = "run_each" if hasattr(runner, "run_each") else "run"
    run = getattr(runner, name)

    def timed(*given: Any) -> Any:
        start = time.process_time()
        found = run(*given)
        inside.append(1000 * (time.process_time() - start))
        return found

    setattr(runner, name, timed)
    whole = []
    for frame in frames:
        start = time.process_time()
        segmenter.segment([frame])
        whole.append(1000 * (time.process_time() - start))
    return median(inside[2:]), median(whole[2:])


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--classes", type=int, default=150)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as the command line does
    width, height = map(int, args.size.split("x"))
    source = open_source(f"{ROOT / 'samples' / 'street.mp4'}")
    frames = [frame for frame, _ in zip(source, range(args.frames), strict=False)]
    info = source.info
    source.close()
    print("| network | smoothed | engine | path | path / engine | target | holds |\n|---|---|---|---|---|---|---|")
    own: dict[bool, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("bundled", "NCHW", "NHWC", "labels"):
            model = "m2f-mobile-ade"
            if kind != "bundled":
                model = str(write_network(Path(folder, f"{kind}.onnx"), (height, width), args.classes, kind))
            for smooth in (True, False):
                asked = None if kind == "labels" and smooth else smooth
                inside, whole = measure(model, frames, info, smooth=asked)
                own.setdefault(smooth, whole - inside)
                most = TARGET * inside + own[smooth]
                row = (kind, smooth, *(f"{ms:.1f}" for ms in (inside, whole)), f"{whole / inside:.2f}", f"{most:.1f}")
                print("|", *(f"{text} |" for text in row), "yes |" if whole <= most else "no |", flush=True)


if __name__ == "__main__":
    main()
