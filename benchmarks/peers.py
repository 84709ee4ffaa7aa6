"""`vidseg run` against what others write for the same job: the same clip, network and size, in turn.

    python benchmarks/peers.py [CLIP] [--model FILE.onnx] [--imgsz 640] [--frames 150] [--repeat 3] [--json FILE]

The sides, as far as what they need can be imported; the others are named as missing:

- vidseg without a flag, with --no-smooth, and with --precision float32: H.264 with audio and exact times;
- OpenVINO with its queue of asynchronous requests and the throughput hint, in the precision it chooses by itself and in
  float32: one thread decodes, prepares and writes while the engine works. Labels are chosen on the network's grid and
  enlarged without interpolation;
- ONNX Runtime, one frame after the other, drawn with addWeighted, with supervision's annotator, or with torchvision's;
- the plain loop of `e2e.py` in torch, with the bundled network only.

The others write MPEG-4 with OpenCV: no audio, no exact times, coarse edges, flicker. Without --model the network is the
bundled one, exported to ONNX with scores by class. Every run is a fresh process; loading is not counted. Frames per
second are medians, ratios those of the same turn: on a machine with other work compare the ratios, and the CPU time of
a frame (of the process, its start left out, but for vidseg, whose start is part of it).
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "street.mp4"
BUNDLED = "m2f-mobile-ade"


@dataclass(frozen=True, slots=True)
class Side:
    """Who takes part. `needs` are modules; `options` those of `vidseg run`, None for the loops."""

    name: str
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] | None = None


SIDES = (
    Side("vidseg", options=()),
    Side("vidseg, not smoothed", options=("--no-smooth",)),
    Side("vidseg, float32", options=("--precision", "float32")),
    Side("openvino queue", ("openvino",)),
    Side("openvino queue, float32", ("openvino",)),
    Side("onnxruntime", ("onnxruntime",)),
    Side("onnxruntime, supervision", ("onnxruntime", "supervision")),
    Side("onnxruntime, torchvision", ("onnxruntime", "torchvision")),
    Side("plain torch loop"),
)


class Clip:
    """Frames in, pictures out, with OpenCV; and a network's input made of a frame."""

    def __init__(self, task: argparse.Namespace, out: Path) -> None:
        import cv2

        self._cv2, self._task = cv2, task
        self._reader = cv2.VideoCapture(task.clip)
        self.size = (int(self._reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._reader.get(cv2.CAP_PROP_FRAME_HEIGHT)))
        rate = self._reader.get(cv2.CAP_PROP_FPS)
        self._writer = cv2.VideoWriter(str(out), cv2.VideoWriter.fourcc(*"mp4v"), rate, self.size)

    def frames(self) -> Any:
        """At most so many as asked for, BGR."""
        for _ in range(self._task.frames):
            good, frame = self._reader.read()
            if not good:
                return
            yield frame

    def seen(self, frame: Any, size: tuple[int, int], dtype: str) -> Any:
        """(1, 3, h, w) of a frame; `size` is (w, h)."""
        import numpy as np

        rgb = self._cv2.cvtColor(self._cv2.resize(frame, size), self._cv2.COLOR_BGR2RGB)
        if dtype != "uint8":
            rgb = (rgb.astype(np.float32) - self._task.shift) / self._task.scale
        return np.ascontiguousarray(rgb.transpose(2, 0, 1)[None])

    def labels(self, scores: Any) -> Any:
        """(H, W) of scores (K, h, w)."""
        small = scores.argmax(axis=0).astype("uint8")
        return self._cv2.resize(small, self.size, interpolation=self._cv2.INTER_NEAREST)

    def write(self, picture: Any) -> None:
        self._writer.write(picture)

    def close(self) -> None:
        self._writer.release()


def palette() -> Any:
    """(256, 3) uint8 colours."""
    import numpy as np

    return np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)


def painter(how: str) -> Callable[[Any, Any], Any]:
    """Draws labels (H, W) over a frame (H, W, 3) BGR."""
    import cv2
    import numpy as np

    colours = palette()
    if how == "supervision":
        import supervision

        annotator = supervision.MaskAnnotator(opacity=0.5)

        def annotated(frame: Any, labels: Any) -> Any:
            classes = np.unique(labels)
            masks = labels[None] == classes[:, None, None]
            boxes = supervision.mask_to_xyxy(masks)
            return annotator.annotate(frame.copy(), supervision.Detections(boxes, masks, class_id=classes.astype(int)))

        return annotated
    if how == "torchvision":
        import torch
        from torchvision.utils import draw_segmentation_masks

        def drawn(frame: Any, labels: Any) -> Any:
            classes = np.unique(labels)
            masks = torch.from_numpy(labels[None] == classes[:, None, None])
            chosen = [tuple(map(int, colours[each])) for each in classes]
            picture = torch.from_numpy(frame).permute(2, 0, 1)
            return draw_segmentation_masks(picture, masks, alpha=0.5, colors=chosen).permute(1, 2, 0).numpy()

        return drawn
    return lambda frame, labels: cv2.addWeighted(frame, 0.5, colours[labels], 0.5, 0)


def openvino_loop(task: argparse.Namespace, out: Path, size: tuple[int, int], *, float32: bool) -> dict[str, float]:
    """Requests in flight as many as the engine wants; results are written in order as they are ready."""
    import openvino

    network = openvino.Core().read_model(task.model)
    network.reshape([1, 3, size[1], size[0]])
    options = {"PERFORMANCE_HINT": "THROUGHPUT"} | ({"INFERENCE_PRECISION_HINT": "f32"} if float32 else {})
    queue = openvino.AsyncInferQueue(openvino.Core().compile_model(network, "CPU", options))
    dtype = "uint8" if network.inputs[0].element_type == openvino.Type.u8 else "float32"
    clip, paint, ready = Clip(task, out), painter("plain"), {}

    def keep(request: Any, given: Any) -> None:
        number, frame = given
        ready[number] = frame, request.get_output_tensor(0).data[0].copy()

    def write_from(number: int) -> int:
        while number in ready:
            frame, scores = ready.pop(number)
            clip.write(paint(frame, clip.labels(scores)))
            number += 1
        return number

    queue.set_callback(keep)
    begin, cpu, written, asked = time.perf_counter(), time.process_time(), 0, 0
    for frame in clip.frames():
        queue.start_async({0: clip.seen(frame, size, dtype)}, (asked, frame))
        asked += 1
        written = write_from(written)
    queue.wait_all()
    write_from(written)
    clip.close()
    return figures(asked, begin, cpu)


def onnxruntime_loop(task: argparse.Namespace, out: Path, size: tuple[int, int], how: str) -> dict[str, float]:
    """One frame after the other."""
    from vidseg.runtimes.onnxruntime_import import import_onnxruntime

    onnxruntime = import_onnxruntime()

    session = onnxruntime.InferenceSession(task.model, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    dtype = "uint8" if "uint8" in entry.type else "float32"
    clip, paint, count = Clip(task, out), painter(how), 0
    begin, cpu = time.perf_counter(), time.process_time()
    for frame in clip.frames():
        scores = session.run(None, {entry.name: clip.seen(frame, size, dtype)})[0][0]
        clip.write(paint(frame, clip.labels(scores)))
        count += 1
    clip.close()
    return figures(count, begin, cpu)


def figures(frames: int, begin: float, cpu: float) -> dict[str, float]:
    return {
        "frames": frames,
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time() - cpu,
    }


def vidseg_run(task: argparse.Namespace, out: Path, options: tuple[str, ...]) -> dict[str, float]:
    """`vidseg run`; its seconds are those of its own --stats file."""
    stats = out.with_suffix(".json")
    command = [sys.executable, "-m", "vidseg", "run", task.clip, "-o", str(out), "--stats", str(stats), "-q"]
    command += ["--limit", str(task.frames), *options]
    command += ["--model", task.model] if task.own else []
    command += ["--imgsz", str(task.imgsz)] if free_size(task.model) else []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    content = json.loads(stats.read_text())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"frames": content["delivered"], "seconds": content["elapsed_seconds"], "cpu_seconds": cpu}


def input_sides(model: str) -> tuple[int, int]:
    """Height and width of the input of an ONNX file, 0 where they are free."""
    import onnx

    shape = onnx.load(model, load_external_data=False).graph.input[0].type.tensor_type.shape.dim
    height, width = (side.dim_value for side in shape[-2:])
    return height, width


def free_size(model: str) -> bool:
    return 0 in input_sides(model)


def network_input(task: argparse.Namespace) -> tuple[int, int]:
    """(width, height) of what the network sees: what the file says, or as vidseg does by --imgsz."""
    import cv2

    from vidseg.runtimes.model_file import read_model_file
    from vidseg.segmentation.preprocess import network_size

    height, width = input_sides(task.model)
    if height and width:
        return width, height
    reader = cv2.VideoCapture(task.clip)
    whole = int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT)), int(reader.get(cv2.CAP_PROP_FRAME_WIDTH))
    if task.own:  # its YAML may say that pictures are stretched
        height, width = read_model_file(task.model).input.with_long_side(task.imgsz).network_size(*whole, task.imgsz)
    else:
        height, width = network_size(*whole, task.imgsz)
    return width, height


def run_side(task: argparse.Namespace, side: Side, out: Path) -> dict[str, float]:
    """In this process, which is a fresh one."""
    if side.options is not None:
        return vidseg_run(task, out, side.options)
    if side.name == "plain torch loop":
        from e2e import plain_loop

        cpu = time.process_time()
        found = plain_loop(task.clip, str(out), task.imgsz, task.frames)
        return {
            "frames": float(str(found["frames"])),
            "seconds": float(str(found["seconds"])),
            "cpu_seconds": time.process_time() - cpu,
        }
    if side.name.startswith("openvino"):
        return openvino_loop(task, out, network_input(task), float32=side.name.endswith("float32"))
    return onnxruntime_loop(task, out, network_input(task), side.name.partition(", ")[2] or "plain")


def measured(task: argparse.Namespace, side: Side, folder: Path) -> dict[str, float]:
    """One run of a side in a fresh process."""
    command = [sys.executable, __file__, task.clip, "--model", task.model, "--imgsz", str(task.imgsz)]
    command += ["--frames", str(task.frames), "--scale", str(task.scale), "--shift", str(task.shift)]
    command += ["--side", side.name, "--folder", str(folder), *(["--own"] if task.own else [])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{side.name} failed: {done.stderr.strip()[-1000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def takes_part(side: Side, task: argparse.Namespace) -> bool:
    missing = [name for name in side.needs if find_spec(name) is None]
    if missing:
        print(f"{side.name}: left out, {', '.join(missing)} is not installed", file=sys.stderr)
    if side.name == "plain torch loop" and task.own:
        print(f"{side.name}: left out, it knows the bundled network only", file=sys.stderr)
        return False
    return not missing


def show(task: argparse.Namespace, results: dict[str, list[dict[str, float]]]) -> None:
    """One line a side, with the ratio of each to vidseg's first."""

    def fps(run: dict[str, float]) -> float:
        return run["frames"] / run["seconds"]

    ours = results["vidseg"]
    print(f"{Path(task.clip).name}, {ours[0]['frames']:.0f} frames, {Path(task.model).name}, turns: {task.repeat}")
    for name, runs in results.items():
        ratios = [fps(own) / fps(run) for own, run in zip(ours, runs, strict=True)]
        cpu = statistics.median(1000 * run["cpu_seconds"] / run["frames"] for run in runs)
        print(
            f"{name:>26}: {statistics.median(map(fps, runs)):6.1f} frames/s, {cpu:6.1f} ms of CPU a frame; "
            f"vidseg is {statistics.median(ratios):.2f}x as fast ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("clip", nargs="?", default=str(SAMPLE))
    parser.add_argument("--model", help="ONNX file with one input and scores by class; its YAML beside it for vidseg")
    parser.add_argument("--imgsz", type=int, default=640, help="long side that the network sees, where it is free")
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--shift", type=float, default=127.5, help="of float inputs: (pixel - shift) / scale")
    parser.add_argument("--scale", type=float, default=127.5)
    parser.add_argument("--only", help="names of sides, separated by ';'")
    parser.add_argument("--json", help="write all numbers to this file")
    for hidden in ("--side", "--folder"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--own", action="store_true", help=argparse.SUPPRESS)
    task = parser.parse_args()
    task.clip = str(Path(task.clip).resolve())
    by_name = {side.name: side for side in SIDES}
    if task.side:
        print(json.dumps(run_side(task, by_name[task.side], Path(task.folder) / "out.mp4")))
        return

    with tempfile.TemporaryDirectory() as folder:
        task.own = task.model is not None
        task.model = str(Path(task.model).resolve()) if task.own else str(Path(folder) / f"{BUNDLED}.onnx")
        if not task.own:
            command = [sys.executable, "-m", "vidseg", "export", BUNDLED, "--outputs", "semantic", "-q"]
            subprocess.run([*command, "-o", task.model], check=True, cwd=ROOT)
        wanted = ["vidseg", *task.only.split(";")] if task.only else list(by_name)
        sides = [by_name[name] for name in dict.fromkeys(wanted) if takes_part(by_name[name], task)]
        results: dict[str, list[dict[str, float]]] = {side.name: [] for side in sides}
        for number in range(task.repeat):
            for side in sides:
                with tempfile.TemporaryDirectory(dir=folder) as place:
                    results[side.name].append(measured(task, side, Path(place)))
                print(f"turn {number + 1} of {task.repeat}: {side.name}", file=sys.stderr)
    show(task, results)
    if task.json:
        Path(task.json).write_text(
            json.dumps({"clip": task.clip, "model": task.model, "runs": results}, indent=2) + "\n"
        )


if __name__ == "__main__":
    main()
