"""Makes every picture of the README and of docs/ with the tool and its default weights: `make docs-pictures`.

Some show the bundled sample. The others need two clips that are not in the repository, in the folder `--clips`: Intel's
"one by one person detection" (intel-iot-devkit/sample-videos, CC BY 4.0) and one by NASA (public domain). The web page
and the report need `chromium` and `chromium-driver`. Where something is missing, the script says so and goes on.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.browser import CHROMIUM, run_browser  # noqa: E402
from vidseg.frames import UInt8Array  # noqa: E402

SAMPLE = ROOT / "samples" / "street.mp4"
CLIPS = {"person": ("intel*.mp4", 240, 40), "nasa": ("*nasa*.mp4", 150, 80)}
"""By short name: pattern of the file, first frame, number of frames."""
PERSON_AT = 20
"""Frame of the cut "person" clip in which one stands."""
STREET_AT = 90
GIF_BYTES, PICTURE_BYTES = 2_000_000, 100_000
WIDTH = 400

Job = Callable[[Path], None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, help="folder with the two clips")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    parser.add_argument("--only", metavar="NAME", help="only this picture, e.g. street.gif")
    arguments = parser.parse_args()
    out: Path = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    clips = arguments.clips.resolve() if arguments.clips else None
    jobs: dict[str, tuple[Job, bool, bool]] = {  # needs clips, needs a browser
        "street.gif": (street, False, False),
        "classes.jpg": (classes, False, False),
        "grid.jpg": (grid, True, False),
        "privacy.jpg": (privacy, True, False),
        "matte.jpg": (matte, True, False),
        "browser.jpg": (browser, False, True),
        "report.jpg": (report, True, True),
    }
    if arguments.only and arguments.only not in jobs:
        parser.error(f"--only is {arguments.only!r}; accepted: {', '.join(jobs)}")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        wanted = [jobs[arguments.only]] if arguments.only else jobs.values()
        for name, (pattern, first, count) in CLIPS.items():
            for found in sorted(clips.glob(pattern))[:1] if clips and any(needs for _, needs, _ in wanted) else ():
                write_clip(Path(f"{name}.mp4"), islice(frames_of(found), first, first + count), rate_of(found))
        for name, (job, needs_clips, needs_browser) in jobs.items():
            if arguments.only in (None, name):
                if needs_clips and not all(Path(f"{clip}.mp4").exists() for clip in CLIPS):
                    print(
                        f"left as it is: {name} (give --clips a folder with {', '.join(p for p, *_ in CLIPS.values())})"
                    )
                elif needs_browser and not CHROMIUM:
                    print(f"left as it is: {name} (needs chromium and chromium-driver)")
                else:
                    job(out / name)
                    print(f"{name}: {(out / name).stat().st_size / 1000:.0f} kB")


def street(picture: Path) -> None:
    vidseg("run", SAMPLE, "-o", "street.mkv", "--codec", "ffv1", "--legend", "--labels", "--max-fps", "10")
    frames = list(frames_of(Path("street.mkv")))
    for width, count in ((560, 60), (480, 60), (480, 45), (400, 45), (360, 40), (320, 35)):
        write_gif(picture, [resized(frame, width) for frame in frames[:count]], 10)
        if picture.stat().st_size <= GIF_BYTES:
            return
    raise SystemExit(f"{picture.name} is {picture.stat().st_size} bytes at the smallest; accepted: {GIF_BYTES}")


def classes(picture: Path) -> None:
    options = ("--classes", "car,person", "--contours", "--labels")
    vidseg("run", SAMPLE, "-o", "cars.mkv", "--codec", "ffv1", *options)
    save(picture, frame_at("cars.mkv", STREET_AT))


def grid(picture: Path) -> None:
    vidseg("run", SAMPLE, "person.mp4", "nasa.mp4", "test", "-o", "grid.mkv", "--codec", "ffv1", "--limit", "64")
    save(picture, frame_at("grid.mkv", 62))


def privacy(picture: Path) -> None:
    vidseg("run", "person.mp4", "-o", "safe.mkv", "--codec", "ffv1", "--blur-classes", "person")
    save(picture, frame_at("safe.mkv", PERSON_AT))


def matte(picture: Path) -> None:
    vidseg("run", "person.mp4", "-o", "cut_%05d.png", "--matte", "person", "--limit", PERSON_AT + 1)
    cut = cv2.imread(f"cut_{PERSON_AT:05d}.png", cv2.IMREAD_UNCHANGED)  # (H, W, 4) BGRA, straight alpha
    rows, columns = np.indices(cut.shape[:2]) // 16
    board = np.where((rows + columns) % 2, 255, 204)[..., None]
    alpha = cut[..., 3:] / 255
    save(picture, (cut[..., 2::-1] * alpha + board * (1 - alpha)).round().astype(np.uint8))


def browser(picture: Path) -> None:
    """The page while the street plays; it is repeated, so that the browser has time to come."""
    write_clip(Path("long.mp4"), (frame for _ in range(6) for frame in frames_of(SAMPLE)), rate_of(SAMPLE))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with vidseg_running("run", "long.mp4", "--serve", address) as run, browser_page() as page:

        def is_up() -> bool:
            if run.poll() is not None:
                raise SystemExit("vidseg ended before the page was there")
            try:
                return bool(urllib.request.urlopen(f"http://{address}/status.json", timeout=5).read())
            except OSError:
                return False

        deadline = time.monotonic() + 240
        while not is_up():
            if time.monotonic() > deadline:
                raise SystemExit("the web page did not come within 240 s")
            time.sleep(0.5)
        page.resize(1200, 780)
        page.open(f"http://{address}/")
        time.sleep(6)
        save(picture, decoded(page.screenshot()), width=640)


def report(picture: Path) -> None:
    Path("recordings").mkdir()
    for name, clip in {"drive": SAMPLE, "entrance": Path("person.mp4"), "workshop": Path("nasa.mp4")}.items():
        Path("recordings", f"{name}.mp4").write_bytes(clip.read_bytes())
    vidseg("batch", "recordings/", "-o", "annotated/")
    with browser_page() as page:
        page.resize(1100, 760)
        page.open((Path("annotated") / "batch-report.html").resolve().as_uri())
        save(picture, decoded(page.screenshot()), width=640)


def vidseg(*words: object) -> None:
    """Run the tool of this clone in the current folder."""
    subprocess.run(command(words), check=True, env=environment())


@contextmanager
def vidseg_running(*words: object) -> Iterator[subprocess.Popen[bytes]]:
    run = subprocess.Popen(command(words), env=environment())
    try:
        yield run
    finally:
        run.send_signal(signal.SIGINT)
        run.wait(timeout=60)


@contextmanager
def browser_page() -> Iterator[object]:
    folder = Path(tempfile.mkdtemp(dir="."))
    yield from run_browser(folder.resolve())


def command(words: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "vidseg", *map(str, words), "-q"]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def rate_of(clip: Path) -> Fraction:
    with av.open(str(clip)) as container:
        return Fraction(container.streams.video[0].average_rate or 25)


def frames_of(clip: Path) -> Iterator[UInt8Array]:
    """(H, W, 3) uint8 RGB each."""
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def frame_at(clip: str, index: int) -> UInt8Array:
    """The frame of that index, or the last one."""
    *_, frame = islice(frames_of(Path(clip)), index + 1)
    return frame


def write_clip(path: Path, frames: Iterator[UInt8Array], rate: Fraction) -> None:
    with av.open(str(path), "w") as container:
        stream = None
        for frame in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options={"crf": "14", "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = frame.shape[1], frame.shape[0], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        if stream is None:
            raise SystemExit(f"{path.name}: the clip is too short")
        container.mux(stream.encode())


def write_gif(path: Path, frames: Sequence[UInt8Array], rate: int) -> None:
    """A GIF with one palette for all frames, that repeats without end."""
    height, width = frames[0].shape[:2]
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format="rgb24", time_base=Fraction(1, rate))
    split, palette = graph.add("split"), graph.add("palettegen", "stats_mode=diff")
    use, sink = graph.add("paletteuse", "dither=none:diff_mode=rectangle"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    with av.open(str(path), "w", options={"loop": "0"}) as container:
        stream = container.add_stream("gif", rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "pal8"
        for index, each in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(each, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            source.push(frame)
        source.push(None)
        for _ in frames:
            container.mux(stream.encode(sink.pull()))
        container.mux(stream.encode())


def decoded(png: bytes) -> UInt8Array:
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def resized(frame: UInt8Array, width: int) -> UInt8Array:
    height = round(frame.shape[0] * width / frame.shape[1] / 2) * 2
    return cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)


def save(path: Path, frame: UInt8Array, *, width: int = WIDTH) -> None:
    """A JPEG of at most `PICTURE_BYTES`."""
    picture = cv2.cvtColor(resized(frame, width), cv2.COLOR_RGB2BGR)
    for quality in range(90, 20, -5):
        cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if path.stat().st_size <= PICTURE_BYTES:
            return
    raise SystemExit(f"{path.name} is {path.stat().st_size} bytes at the smallest; accepted: {PICTURE_BYTES}")


if __name__ == "__main__":
    main()
