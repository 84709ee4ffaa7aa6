"""vidseg from Python."""

from __future__ import annotations

import doctest
import inspect
import re
import shutil
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import get_args, get_type_hints

import av
import cv2
import numpy as np
import pytest
import torch

import vidseg
from tests.pipeline.test_pipeline import no_vidseg_threads
from tests.segmentation.test_segmenter import HalvesRuntime
from tests.video.clips import make_clip
from vidseg import api
from vidseg.config import OPTIONS
from vidseg.errors import ConfigError, DeviceError, ModelError, SourceError, VidsegError
from vidseg.frames import NO_LABEL
from vidseg.labels import ade20k
from vidseg.sources.factory import open_source
from vidseg.wiring import run_source
from vidseg.wiring.engine import Engine
from vidseg.wiring.network_input import NetworkInput

ROOT = Path(__file__).parent.parent
SMALL = {"imgsz": 64, "threads": 1, "runtime": "torch"}


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """20 frames of 64x48 at 25 fps."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", size=(64, 48), frames=20)


@pytest.fixture
def halves(monkeypatch) -> HalvesRuntime:
    """A network that sees sky above road, in place of all others; remembers the shapes it was given."""
    runtime = HalvesRuntime()
    monkeypatch.setattr(
        "vidseg.app.library.load_engine",
        lambda config, reporter, **_: Engine("halves", runtime, NetworkInput(64), runtime.device),
    )
    return runtime


def test_the_network_gets_frames_of_a_film_beside_each_other_and_a_picture_alone(clip, tmp_path, monkeypatch):
    def load(config, reporter, *, requests, info):
        given.append(requests)
        return Engine("halves", HalvesRuntime(), NetworkInput(64), torch.device("cpu"))

    given: list[int] = []
    monkeypatch.setattr("vidseg.app.library.load_engine", load)
    monkeypatch.setattr("vidseg.wiring.network_cores.usable_cores", lambda: 4)
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    for source in (clip, tmp_path / "a.png"):
        next(vidseg.segment(source))
    assert given == [4, 1]


def test_the_examples_of_the_documentation_are_true(monkeypatch):
    monkeypatch.chdir(ROOT)
    failed, tried = doctest.testmod(api, optionflags=doctest.ELLIPSIS)
    assert failed == 0 and tried >= 7 and no_vidseg_threads()


def test_a_video_frame_by_frame(halves, clip):
    found = list(vidseg.segment(clip))
    assert [seg.index for seg in found] == list(range(20)) and found[5].seconds == pytest.approx(0.2)
    seg = found[3]
    assert isinstance(seg, vidseg.SegmentedFrame) and seg.label_map.shape == seg.image.shape[:2] == (48, 64)
    assert seg.labels == ade20k().names and seg.labels[seg.label_map[0, 0]] == "sky"
    assert seg.mask("sky").dtype == bool and seg.mask("sky")[:20].all() and not seg.mask("sky")[28:].any()
    assert seg.mask("sky", 6).all() and not seg.mask().any()
    assert list(seg.shares()) in (["sky", "road"], ["road", "sky"]) and sum(seg.shares().values()) == pytest.approx(1)
    assert np.array_equal(seg.overlay(opacity=0), seg.image) and (seg.overlay() != seg.image).any()
    assert tuple(seg.overlay(opacity=1, contours=True)[0, 0]) == tuple(ade20k().palette[2])
    with pytest.raises(ConfigError, match="unknown class 'skyy'"):
        seg.mask("skyy")


def test_shares_count_what_is_said_only(halves):
    seg = vidseg.Segmenter()(np.zeros((40, 60, 3), np.uint8))
    seg.label_map[:, :30] = NO_LABEL
    seg.label_map[:2, 30:] = 12
    assert list(seg.shares())[-1] == "person" and seg.shares()["person"] == pytest.approx(0.025)
    assert sum(seg.shares().values()) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"limit": 3}, [0, 1, 2]),
        ({"max_fps": 5.0}, [0, 5, 10, 15]),
        ({"stride": 4, "limit": 6, "smooth": False, "propagate": "hold"}, range(6)),
    ],
)
def test_options_of_a_run_hold_here_too(halves, clip, options, seen):
    found = list(vidseg.segment(clip, **options))
    assert [seg.index for seg in found] == list(seen)
    stride = options.get("stride", 1)
    assert len(halves.shapes) == -(-len(found) // stride)
    assert all(seg.segmentation.frame_index <= seg.index for seg in found)


def test_queries_and_confidence_are_there_when_asked_for(halves, clip):
    seg = next(vidseg.segment(clip, keep_queries=True, confidence=True))
    assert {d.label for d in seg.segmentation.detections()} == {"sky", "road"}
    assert seg.segmentation.confidence.shape == (48, 64)
    seg = next(vidseg.segment(clip))
    assert seg.segmentation.confidence is None
    with pytest.raises(ConfigError, match="keep_queries=True"):
        seg.segmentation.detections()


def test_leaving_early_leaves_no_thread(halves, clip):
    for seg in vidseg.segment(clip):
        if seg.index == 2:
            break
    assert no_vidseg_threads()
    results = vidseg.segment(clip)
    next(results)
    results.close()
    assert no_vidseg_threads() and list(results) == []


def test_bad_options_are_told_at_once_and_bad_sources_when_iterating(halves, tmp_path):
    for options, kind, text in (
        ({"imgsz": 7}, ConfigError, "imgsz is 7"),
        ({"stride": 0}, ConfigError, "stride is 0"),
        ({"model": "none"}, ModelError, "unknown model"),
        ({"device": "toaster"}, DeviceError, "toaster"),
    ):
        with pytest.raises(kind, match=text) as caught:
            vidseg.segment("clip.mp4", **options)
        assert isinstance(caught.value, vidseg.VidsegError)
    with pytest.raises(TypeError, match="output"):
        vidseg.segment("clip.mp4", output="out.mp4")
    with pytest.raises(ConfigError, match="source is None"):
        vidseg.segment(None)
    results = vidseg.segment(tmp_path / "none.mp4")
    with pytest.raises(SourceError, match="no such file"):
        next(results)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(SourceError):
        list(vidseg.segment(tmp_path / "text.mp4"))
    assert no_vidseg_threads() and VidsegError is vidseg.VidsegError


def test_weights_that_do_not_fit_close_the_source(clip, tmp_path, monkeypatch):
    closed = []
    opened = run_source.open_source

    def watched(*args, **options):
        source = opened(*args, **options)
        close = source.close
        source.close = lambda: (closed.append(True), close())
        return source

    monkeypatch.setattr("vidseg.wiring.run_source.open_source", watched)
    torch.save({"other": torch.ones(2)}, tmp_path / "bad.pth")
    with pytest.raises(VidsegError, match=r"bad\.pth: does not fit"):
        next(vidseg.segment(clip, weights=tmp_path / "bad.pth", **SMALL))
    assert closed and no_vidseg_threads()


def test_a_stream_that_breaks_off_gives_its_frames_and_then_the_error(halves, clip, monkeypatch):
    from tests.fakes import FakeSource, frame

    broken = FakeSource([frame(i, size_hw=(40, 60)) for i in range(3)], error=SourceError("rtsp://x: gone"))
    monkeypatch.setattr("vidseg.wiring.run_source.open_source", lambda *args, **options: broken)
    results = vidseg.segment("rtsp://x")
    assert [next(results).index for _ in range(3)] == [0, 1, 2]
    with pytest.raises(SourceError, match="gone"):
        next(results)
    assert no_vidseg_threads() and broken.closed == 1


def test_pictures_of_one_size_are_segmented_together_and_come_back_in_order(halves, tmp_path):
    cv2.imwrite(str(tmp_path / "p.png"), np.full((30, 40, 3), (10, 20, 30), np.uint8))
    pictures = [np.full((30, 40, 3), i, np.uint8) for i in range(11)]
    pictures[4] = np.full((50, 20, 3), 4, np.uint8)
    with vidseg.Segmenter() as segmenter:
        found = segmenter([*pictures, str(tmp_path / "p.png"), tmp_path / "p.png"])
        assert [shape[0] for shape in halves.shapes] == [8, 4, 1]
        assert [seg.image[0, 0, 0] for seg in found] == [*range(11), 30, 30]
        assert [seg.label_map.shape for seg in found] == [seg.image.shape[:2] for seg in found]
        assert segmenter([]) == [] and isinstance(segmenter((pictures[0],)), list)
        assert repr(segmenter) == "<Segmenter halves>"
        assert segmenter(pictures[0][:, ::-1]).label_map.shape == (30, 40)
        assert [seg.index for seg in segmenter.segment("test:64x48@10,frames=3")] == [0, 1, 2]
    assert repr(segmenter) == "<Segmenter (closed)>"
    with pytest.raises(ValueError, match="closed"):
        segmenter(pictures[0])
    with pytest.raises(ValueError, match="closed"):
        segmenter.segment("test")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((4, 4), np.uint8), r"array \(4, 4\) of uint8; accepted: a \(height, width, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
        (None, "a picture is of type NoneType"),
        ("none.png", r"none\.png: no such file"),
        (Path(__file__), "is not a readable picture; for a video use vidseg.segment"),
    ],
)
def test_what_is_no_picture_is_told(halves, given, message):
    with pytest.raises(SourceError, match=message):
        vidseg.Segmenter()(given)


def test_threads_may_share_a_segmenter(halves):
    inside, most, together = [], [], threading.Event()
    run = halves.run

    def counted(images):
        inside.append(1)
        if len(inside) > 1:
            together.set()
        together.wait(0.02)  # time for another thread to come in, if it can
        most.append(len(inside))
        found = run(images)
        inside.pop()
        return found

    halves.run = counted
    segmenter = vidseg.Segmenter()
    found = {}

    def work(number: int) -> None:
        found[number] = [segmenter(np.full((20 + number, 30, 3), number, np.uint8)) for _ in range(3)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 12 and set(most) == {1}
    assert all(seg.label_map.shape == (20 + n, 30) for n in range(4) for seg in found[n])


def test_the_real_network_gives_in_a_batch_what_it_gives_alone():
    pictures = [np.random.default_rng(seed).integers(0, 256, (48, 64, 3), dtype=np.uint8) for seed in range(3)]
    with vidseg.Segmenter(**SMALL) as segmenter:
        together, alone = segmenter(pictures), [segmenter(picture) for picture in pictures]
    for one, other in zip(together, alone, strict=True):
        assert (one.label_map == other.label_map).mean() > 0.999


def test_importing_vidseg_and_asking_for_help_needs_nothing_heavy():
    heavy = "sys.modules[name] = None\n"
    code = (
        "import sys\nfor name in ('torch', 'cv2', 'av', 'numpy'): " + heavy + "import vidseg\n"
        "assert 'segment' in dir(vidseg) and vidseg.__version__ and vidseg.VidsegError\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)
    code = (
        "import sys\nfor name in ('torch', 'cv2', 'av'): "
        + heavy
        + ("sys.argv = ['vidseg', '--help']\nfrom vidseg.cli import main\nmain()")
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert result.returncode == 0 and "run" in result.stdout, result.stderr


def test_no_part_of_the_package_takes_the_place_of_what_it_offers():
    import vidseg.segmentation.preprocess

    assert vidseg.segment is api.segment and not (ROOT / "vidseg" / "segment").exists()
    assert not [name for name in vidseg.__all__ if (ROOT / "vidseg" / f"{name}.py").exists()]
    with pytest.raises(AttributeError, match="module 'vidseg' has no attribute 'nothing'"):
        vidseg.nothing  # noqa: B018


def test_nothing_is_printed_no_handler_is_installed_and_no_thread_is_left(clip):
    code = f"""
import signal, threading, vidseg
before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
for seg in vidseg.segment({str(clip)!r}, imgsz=64, threads=1, runtime="torch"):
    if seg.index == 3:
        break
assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
del seg
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
results = vidseg.segment({str(clip)!r}, imgsz=64, threads=1, runtime="torch")
next(results)  # and the program ends with it under way
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=100, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_example_of_the_docs_runs(clip, tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    shutil.copy(clip, tmp_path / "clip.mp4")
    for name in ("photo.jpg", "other.png"):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), 127, np.uint8))
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(compile(code, "python.md", "exec"), found)
    assert capsys.readouterr().out.count("{") >= 2
    assert found["people"].dtype == bool and found["picture"].ndim == 3
    assert len(found["several"]) == 2 and isinstance(found["regions"], list)
    assert Path("seen.png").is_file() and Path("seen.mp4").is_file()


def test_what_is_not_sure_enough_is_255_in_label_maps(halves, clip):
    seg = next(vidseg.segment(clip, confidence=True, min_confidence=0.9))
    unsure = seg.segmentation.confidence < 0.9
    assert 0 < unsure.mean() < 1 and ((seg.label_map == 255) == unsure).all()
    assert sum(seg.shares().values()) == pytest.approx(1 - unsure.mean())


def segmented(index: int = 0) -> vidseg.SegmentedFrame:
    """A frame whose left half is sky, without a network."""
    label_map = np.full((48, 64), 255, np.uint8)
    label_map[:, :32] = 2
    frame = vidseg.Frame(
        np.full((48, 64, 3), 90 + 30 * index, np.uint8), index, 40 * index, Fraction(1, 1000), duration=40
    )
    return vidseg.SegmentedFrame(frame, vidseg.Segmentation(label_map, index), ade20k())


def test_what_users_hold_says_what_it_is_in_one_short_line():
    seg = segmented(3)
    assert repr(seg) == "<SegmentedFrame 3 at 0.120 s, 64x48: sky 50%>"
    assert repr(seg.frame) == "<Frame 3 at 0.120 s, 64x48>"
    detection = vidseg.Detection((1, 2, 3, 4), 0.914, 2, "sky", seg.mask("sky"))
    assert repr(detection) == "<Detection of sky, 91%, 1, 2, 3, 4>"
    assert repr(seg.segmentation) == "<Segmentation of frame 3, 64x48>"
    assert dir(vidseg) == sorted(vidseg.__all__)


def test_a_frame_is_a_picture_in_notebooks_and_in_files(tmp_path):
    seg = segmented()
    shown = cv2.imdecode(np.frombuffer(seg._repr_png_(), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(shown[:, :, ::-1], seg.overlay())
    seg.save(tmp_path / "a.png", opacity=1.0)
    assert cv2.imread(str(tmp_path / "a.png"))[0, 0, ::-1].tolist() == [6, 230, 230]
    with pytest.raises(vidseg.VidsegError, match=r"^a\.xyz: is not the name of an image"):
        seg.save(tmp_path / "a.xyz")
    with pytest.raises(vidseg.VidsegError, match="missing"):
        seg.save(tmp_path / "missing" / "a.png")


def test_show_needs_a_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(vidseg.VidsegError, match="--show needs"):
        segmented().show()


def test_a_frame_alone_is_seen_and_saved_too(tmp_path, monkeypatch):
    frame = segmented(2).frame
    assert cv2.imdecode(np.frombuffer(frame._repr_png_(), np.uint8), cv2.IMREAD_COLOR).tolist() == frame.image.tolist()
    frame.save(tmp_path / "a.png")
    assert cv2.imread(str(tmp_path / "a.png")).shape == (48, 64, 3)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(vidseg.VidsegError, match="--show needs"):
        frame.show()


@pytest.mark.parametrize("function", [vidseg.segment, vidseg.Segmenter.__init__, vidseg.Segmenter.segment])
def test_options_of_certain_words_are_typed_as_these_words(function):
    """So that editors complete them and type checkers find misspelled ones."""
    hints = get_type_hints(function)
    for name, parameter in inspect.signature(function).parameters.items():
        entry = OPTIONS.get(name)
        alternatives = entry.check.schema.get("anyOf", ()) if entry else ()
        known = {kind["const"] for kind in alternatives if "const" in kind}
        words = [word for kind in get_args(hints.get(name)) for word in get_args(kind) if isinstance(word, str)]
        if entry is not None and name != "source":
            assert parameter.default is None
            assert set(words) == set(entry.check.choices or known), name


@pytest.mark.parametrize(
    ("name", "options", "moments", "size"),
    [
        ("out.mp4", {}, [0, 0.04, 0.08, 0.12], (64, 48)),
        ("out.mp4", {"fps": 50, "size": "32x32"}, [0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.12, 0.14], (32, 24)),
        ("out.mp4", {"fps": 10, "size": 128, "enlarge": True}, [0, 0.1], (128, 96)),
        ("out.gif", {"size": "50%"}, [0, 0.08], (32, 24)),
        ("out.webp", {"fps": 25}, [0, 0.04, 0.08, 0.12], (64, 48)),
    ],
)
def test_write_makes_a_video_of_frames_as_run_does(tmp_path, name, options, moments, size):
    path = tmp_path / name
    assert vidseg.write(map(segmented, range(4)), path, **options) == len(moments)
    with open_source(str(path)) as made:
        assert (made.info.width, made.info.height) == size
        assert [frame.seconds for frame in made] == pytest.approx(moments, abs=0.011)
    with pytest.raises(vidseg.VidsegError, match="exists; overwrite it with overwrite=True or"):
        vidseg.write([segmented()], path)


def test_write_takes_a_rate_as_vidseg_gives_it(tmp_path):
    assert vidseg.write(map(segmented, range(4)), tmp_path / "a.mp4", fps=Fraction(30000, 1001)) > 0


def test_write_refuses_options_as_run_does(tmp_path):
    for options, text in (
        ({"size": "big"}, "vidseg.write: --size is 'big'; accepted: a width"),
        ({"enlarge": True}, "--enlarge needs --size"),
        ({"fps": 0}, "vidseg.write: --fps is 0; accepted"),
    ):
        with pytest.raises(ConfigError, match=text):
            vidseg.write([segmented()], tmp_path / "x.mp4", **options)


def test_write_takes_plain_pictures_and_refuses_other_things(tmp_path):
    pictures = [np.full((48, 64, 3), level, np.uint8) for level in (0, 200)]
    assert vidseg.write(pictures, tmp_path / "p_%02d.png") == 2
    assert len(list(tmp_path.glob("p_*.png"))) == 2
    assert vidseg.write([segmented().frame, tmp_path / "p_01.png"], tmp_path / "q_%02d.png") == 2
    assert cv2.imread(str(tmp_path / "q_01.png")).max() == 200
    assert vidseg.write(pictures, tmp_path / "slow.mp4", fps=2) == 2
    with av.open(str(tmp_path / "slow.mp4")) as container:
        assert [frame.time for frame in container.decode(video=0)] == pytest.approx([0, 0.5])
    for frames, text in (
        ([], "no frames"),
        ([np.zeros((4, 4))], r"frame 0: a picture is an array \(4, 4\) of float64; accepted"),
        ([None], "frame 0: a picture is of type NoneType"),
    ):
        with pytest.raises(vidseg.VidsegError, match=text):
            vidseg.write(frames, tmp_path / "x.mp4")
    assert not list(tmp_path.glob("x.mp4*"))


def test_a_picture_of_pil_is_taken_upright(monkeypatch):
    """By a stand-in: vidseg does not need PIL."""
    from vidseg.sources.given_picture import picture_of

    class Turned:
        def getexif(self) -> dict[int, int]:
            return {274: 6}

        def convert(self, mode: str) -> np.ndarray:
            assert mode == "RGB"
            return np.zeros((48, 64, 3), np.uint8)

    monkeypatch.setitem(sys.modules, "PIL", ModuleType("PIL"))
    operations = ModuleType("PIL.ImageOps")
    operations.exif_transpose = lambda image: image  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "PIL.ImageOps", operations)
    assert picture_of(Turned()).shape == (48, 64, 3)


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.count("'road': 0.") == 3
