"""How old is the picture on the screen? A live stream through vidseg, and through the loop that people write.

    python benchmarks/latency.py [--minutes 10] [--plain-minutes 1] [--rate 25] [--model NAME] [--imgsz 640]
                                 [--slow MS] [--sides vidseg,every,plain] [--json FILE]

A sender encodes the sample clip at `--rate` (H.264 over UDP on loopback) and draws the time of day into each picture.
The receiver reads it from the picture when that would be on the screen, so the latency is that of everything: encoder,
network, decoder, queues, model, masks. `--slow` makes every call of the model so much longer, so that it is too slow.

Sides, one after the other, each against a sender of its own: `vidseg` as `vidseg run URL --show` (the model takes the
newest frame whenever it is free, its masks follow the motion), `every` as with `--stride 1` (a frame is shown when it
has masks of its own, the newest wins), and `plain`: cv2.VideoCapture.read -> model -> argmax -> addWeighted.

Printed for each: pictures a second, and p50, p95, p99 of the latency in ms, of all and of the first and the last
quarter: equal if nothing piles up.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "samples" / "street.mp4"
BITS, CHECK, CELL = 40, 8, 8
"""Milliseconds of the day's time and a checksum, as squares of so many pixels along the upper edge."""
WARM_UP_SECONDS = 5.0


def stamp(picture: np.ndarray, milliseconds: int) -> None:
    """Draw a time into an (H, W, 3) RGB picture."""
    number = milliseconds % 2**BITS
    bits = [(number >> place) & 1 for place in range(BITS)]
    bits += [(sum(number.to_bytes(BITS // 8, "little")) >> place) & 1 for place in range(CHECK)]
    cells = np.repeat(np.array(bits, np.uint8) * 255, CELL)
    picture[: 2 * CELL, : len(cells)] = cells[None, :, None]


def stamped(picture: np.ndarray) -> int | None:
    """The time in a picture; None where it cannot be read."""
    row = picture[CELL // 2 : 2 * CELL - CELL // 2, : (BITS + CHECK) * CELL].mean(axis=(0, 2))
    bits = row.reshape(-1, CELL)[:, 2:-2].mean(axis=1) > 127
    number = sum(1 << place for place in range(BITS) if bits[place])
    check = sum(1 << place for place in range(CHECK) if bits[BITS + place])
    return number if check == sum(number.to_bytes(BITS // 8, "little")) % 2**CHECK else None


def send(port: int, rate: int) -> None:
    """Send the sample again and again until killed."""
    with av.open(str(SAMPLE)) as clip:
        pictures = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    pictures += pictures[::-1]  # there and back: no cut at the end
    output = av.open(f"udp://127.0.0.1:{port}?pkt_size=1316", "w", format="mpegts")
    options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23"}
    stream = output.add_stream("libx264", Fraction(rate), options)
    stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
    stream.gop_size = rate
    begin = time.perf_counter()
    number = 0
    while True:
        time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        picture = pictures[number % len(pictures)]
        stamp(picture, int(time.time() * 1000))
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = number, Fraction(1, rate)
        output.mux(stream.encode(frame))
        number += 1


class Ages:
    """Collects how old pictures are, once things have settled."""

    def __init__(self, minutes: float) -> None:
        self._begin = time.monotonic() + WARM_UP_SECONDS
        self._end = self._begin + 60 * minutes
        self.values: list[float] = []
        self.unreadable = 0

    def see(self, picture: np.ndarray) -> bool:
        """Note a picture that is on the screen now; False when the time is over."""
        now = time.monotonic()
        if now >= self._begin:
            sent = stamped(picture)
            if sent is None:
                self.unreadable += 1
            else:
                self.values.append((int(time.time() * 1000) - sent) % 2**BITS)
        return now < self._end

    def summary(self, minutes: float) -> dict[str, object]:
        quarter = max(1, len(self.values) // 4)
        parts = {"all": self.values, "first quarter": self.values[:quarter], "last quarter": self.values[-quarter:]}
        return {
            "pictures_per_second": round(len(self.values) / (60 * minutes), 2),
            "unreadable": self.unreadable,
            "ms": {
                name: {f"p{q}": round(float(np.percentile(part, q))) for q in (50, 95, 99)} if part else None
                for name, part in parts.items()
            },
        }


class SlowRuntime:
    """A runtime whose calls take so much longer."""

    def __init__(self, runtime: Any, milliseconds: float) -> None:
        self._runtime = runtime
        self._seconds = milliseconds / 1000
        self.device, self.name = runtime.device, runtime.name

    def run(self, images: object) -> Any:
        time.sleep(self._seconds)
        return self._runtime.run(images)


def watch_vidseg(url: str, arguments: argparse.Namespace, minutes: float, options: dict[str, object]) -> Ages:
    """Look at the stream as the window of `vidseg run` does."""
    from vidseg.cli.console import RunConsole
    from vidseg.config import RunConfig
    from vidseg.motion.propagate import FlowPropagator
    from vidseg.pipeline.buffer import Buffer, Closed
    from vidseg.pipeline.options import Result
    from vidseg.pipeline.pipeline import Pipeline
    from vidseg.render.options import RenderOptions
    from vidseg.render.overlay import OverlayRenderer
    from vidseg.timing import StageTimers
    from vidseg.wiring.engine import load_engine
    from vidseg.wiring.frame_policy import pipeline_options
    from vidseg.wiring.run_source import Announcements, open_run_source

    config = RunConfig(source=url, show=True, model=arguments.model, imgsz=arguments.imgsz, **options)
    engine = load_engine(config, RunConsole())
    engine = replace(engine, runtime=SlowRuntime(engine.runtime, arguments.slow))
    source = open_run_source(config, Announcements(), print)
    timers = StageTimers()
    segmenter = engine.segmenter(config, source.info, timers)
    pair = FlowPropagator(timers), FlowPropagator(timers)
    pipeline = Pipeline(
        source,
        segmenter,
        None,
        [],
        propagator=pair[0],
        second_propagator=pair[1],
        options=pipeline_options(config, source.info, 1),
        timers=timers,
    )
    renderer = OverlayRenderer(RenderOptions())
    ages = Ages(minutes)

    def display(results: Buffer[Result]) -> None:
        try:
            while True:
                result = results.get()
                renderer.render(result.frame.image, result.segmentation)
                if not pipeline.stale(result) and not ages.see(result.frame.image):
                    return
        except Closed:
            return

    pipeline.run(display)
    return ages


def watch_plainly(url: str, arguments: argparse.Namespace, minutes: float) -> Ages:
    """The loop that people write."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    import cv2
    import torch

    from vidseg.labels import ade20k
    from vidseg.runtimes.loading import load_model

    model, palette = load_model(arguments.model), ade20k().palette
    capture = cv2.VideoCapture(url)
    ages = Ages(minutes)
    while True:
        good, frame = capture.read()
        if not good:
            return ages
        picture = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        height, width = picture.shape[:2]
        scale = arguments.imgsz / max(height, width)
        small = cv2.resize(picture, (round(width * scale), round(height * scale)))
        with torch.no_grad():
            time.sleep(arguments.slow / 1000)
            output = model.forward_queries(torch.from_numpy(small).permute(2, 0, 1)[None].float())
            masks = torch.nn.functional.interpolate(output.mask_logits.sigmoid(), size=(height, width), mode="bilinear")
            probs = output.class_logits.softmax(-1)[0, :, :-1]
            labels = torch.einsum("qk,qhw->khw", probs, masks[0]).argmax(0).numpy()
        cv2.addWeighted(picture, 0.5, palette[labels].astype(np.uint8), 0.5, 0)
        if not ages.see(picture):
            return ages


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def watch(side: str, arguments: argparse.Namespace) -> dict[str, object]:
    """One side against a sender of its own."""
    port = free_port()
    sender = subprocess.Popen([sys.executable, __file__, "--send", str(port), "--rate", str(arguments.rate)])
    url = f"udp://127.0.0.1:{port}"
    minutes = arguments.plain_minutes if side == "plain" else arguments.minutes
    try:
        if side == "plain":
            return watch_plainly(url, arguments, minutes).summary(minutes)
        options: dict[str, object] = {} if side == "vidseg" else {"stride": 1}
        return watch_vidseg(url, arguments, minutes, options).summary(minutes)
    finally:
        sender.kill()
        sender.wait()


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--plain-minutes", type=float, default=1.0)
    parser.add_argument("--rate", type=int, default=25)
    parser.add_argument("--model", default="m2f-mobile-ade")
    parser.add_argument("--imgsz", type=int, default=640)
    parser.add_argument("--slow", type=float, default=0.0, metavar="MS")
    parser.add_argument("--sides", default="vidseg,every,plain")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--send", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    arguments = parser.parse_args(words)
    if arguments.send:
        send(arguments.send, arguments.rate)
        return
    if arguments.side:
        print(json.dumps(watch(arguments.side, arguments)))
        return
    found: dict[str, dict[str, object]] = {}
    for side in arguments.sides.split(","):
        command = [sys.executable, __file__, *(sys.argv[1:] if words is None else words), "--side", side]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        found[side] = json.loads(done.stdout.splitlines()[-1])
        print(f"{side}: {json.dumps(found[side], indent=2)}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
