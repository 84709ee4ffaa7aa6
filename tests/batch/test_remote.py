"""Batches from and to URLs: a store in memory, folders as fsspec sees them, a web server."""

import json
import os
import pickle
import sys
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import av
import pytest
import torch

import vidseg
from tests.batch.test_run import FakeRuntime, Place
from tests.video.clips import make_clip
from vidseg.batch import local, ray_worker
from vidseg.batch.identity import known_as, plain_path
from vidseg.batch.job import Job, JobResult
from vidseg.batch.ray_cluster import staging_folder
from vidseg.batch.remote_attempt import remote_attempt
from vidseg.batch.remote_files import _identity
from vidseg.config import RunConfig
from vidseg.errors import ConfigError, SinkError
from vidseg.wiring.engine import Engine
from vidseg.wiring.network_input import NetworkInput

fsspec = pytest.importorskip("fsspec")
FRAMES = 4


@pytest.fixture
def store():
    """The file system of memory:// URLs, empty."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "a.mp4", size=(32, 32), frames=FRAMES).read_bytes()


@pytest.fixture
def far(tmp_path, monkeypatch):
    """Batches in a working directory, with the cache in `cache` and copies in `copies`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VIDSEG_CACHE", str(tmp_path / "cache"))
    (tmp_path / "copies").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "copies"))
    runtime = FakeRuntime()
    load = lambda config, reporter, **_: Engine(config.model, runtime, NetworkInput(32), torch.device("cpu"))  # noqa: E731
    monkeypatch.setattr(local, "load_beside", load)
    monkeypatch.setattr(ray_worker, "load_engine", load)
    ray_worker._engine.cache_clear()
    yield Place(tmp_path, runtime)
    assert os.listdir("copies") == []
    ray_worker._engine.cache_clear()


def names(store, folder):
    """Everything in a folder but the report."""
    found = [path.removeprefix(folder + "/") for path in store.find(folder)]
    return sorted(name for name in found if not name.startswith("batch-report"))


def frames_in(data):
    Path("look.mp4").write_bytes(data)
    with av.open("look.mp4") as video:
        return sum(1 for _ in video.decode(video=0))


# stores


def test_a_folder_goes_to_a_folder_and_is_remembered(far, store, clip):
    for name in ("a.mp4", "day/b.mkv", "day/notes.txt", ".hidden/c.mp4"):
        store.pipe(f"/rec/{name}", clip)
    config = RunConfig(save_masks="{parent}/{stem}/", stats="{stem}.json")
    files, code = far.batch("memory://rec/", config=config, out_dir="memory://out/", jobs=2)
    assert files == {"memory://rec/a.mp4": ("done", ""), "memory://rec/day/b.mkv": ("done", "")} and code == 0
    masks = ["frames.csv", *(f"{index:06}.png" for index in range(FRAMES))]
    a = ["a.json", "a_annotated.mp4", *(f"rec/a/{name}" for name in masks)]
    b = ["day/b.json", "day/b_annotated.mp4", *(f"day/day/b/{name}" for name in masks)]
    assert names(store, "/out") == sorted(a + b) and frames_in(store.cat("/out/a_annotated.mp4")) == FRAMES
    told = json.loads(store.cat("/out/day/b.json"))["config"]
    assert told["source"] == "memory://rec/day/b.mkv" and told["output"] == "memory://out/day/b_annotated.mp4"
    report = json.loads(store.cat("/out/batch-report.json"))
    assert report["files"][0]["outputs"] == ["a_annotated.mp4", "rec/a/", "a.json"]
    assert far.outcome.written == ("memory://out/batch-report.json", "memory://out/batch-report.html")

    calls = far.runtime.calls
    assert far.states("memory://rec/", config=config, out_dir="memory://out") == ["skipped", "skipped"]
    assert far.runtime.calls == calls and far.outcome.report.files[0].strip.startswith(b"\xff\xd8")
    assert sorted(path.name for path in Path("cache").glob("batch/*/*")) == ["archive.jsonl", "pictures"]
    store.rm("/out/rec/a", recursive=True)
    assert far.states("memory://rec/", config=config, out_dir="memory://out") == ["done", "skipped"]


def test_other_content_is_done_again_and_foreign_files_stay(far, store, clip):
    store.pipe("/rec/a.mp4", clip)
    store.pipe("/out/b_annotated.mp4", b"mine")
    store.pipe("/rec/b.mp4", clip)
    files, code = far.batch("memory://rec", out_dir="memory://out")
    assert files["memory://rec/a.mp4"][0] == "done" and code == 1
    assert files["memory://rec/b.mp4"] == (
        "failed",
        "memory://out/b_annotated.mp4 exists, but was not made from this input; -y replaces it",
    )
    store.pipe("/rec/a.mp4", clip)
    assert far.states("memory://rec/a.mp4", out_dir="memory://out") == ["done"]
    assert store.cat("/out/b_annotated.mp4") == b"mine"
    config = RunConfig(overwrite=True)
    assert far.states("memory://rec", out_dir="memory://out", config=config) == ["skipped", "done"]


def test_an_archive_of_ones_own_skips_what_was_moved_away(far, store, clip):
    store.pipe("/rec/a.mp4", clip)
    options = {"out_dir": "memory://out", "archive": "done.jsonl"}
    assert far.states("memory://rec", **options) == ["done"]
    store.rm("/out", recursive=True)
    assert far.states("memory://rec", **options) == ["skipped"]
    assert not list(Path("cache").rglob("archive.jsonl")) and names(store, "/out") == []


def test_globs_and_repeats(far, store, clip):
    for name in ("a.mp4", "b.mp4", "b.bin", "deep/c.mp4"):
        store.pipe(f"/rec/{name}", clip)
    _, code = far.batch(
        "memory://rec/*.mp4", "memory://rec/b.*", "memory://rec/**/c.mp4", "memory://rec/no*", dry_run=True
    )
    assert [item.job.source for item in far.outcome.plan.decisions] == [
        "memory://rec/a.mp4",
        "memory://rec/b.mp4",
        "memory://rec/deep/c.mp4",
    ]
    assert far.reporter.notes == ["1 input was given more than once; each is processed once"]
    assert [(bad.name, bad.reason) for bad in far.outcome.plan.found.unusable] == [
        ("memory://rec/no*", "no video matches")
    ]
    assert code == 1


def test_names_may_not_collide(far, store, clip):
    for name in ("cam1/a.mp4", "cam2/a.mp4"):
        store.pipe(f"/{name}", clip)
    inputs = ("memory://cam1/a.mp4", "memory://cam2/a.mp4")
    with pytest.raises(ConfigError, match=r"memory://out/a_annotated\.mp4: would be written twice"):
        far.batch(*inputs, out_dir="memory://out")
    with pytest.raises(ConfigError, match="is an input and would be an output"):
        far.batch(*inputs, out_dir="memory://cam1", name="{name}")
    assert far.states(*inputs, out_dir="out", name="{parent}_{stem}{ext}") == ["done", "done"]
    assert far.outputs() == ["cam1_a.mp4", "cam2_a.mp4"]


def test_a_bad_input_waits_for_retry_failed_and_is_named_by_its_url(far, store):
    store.pipe("/rec/bad.mp4", b"\0" * 1000)
    options = {"out_dir": "memory://out"}
    files, code = far.batch("memory://rec/bad.mp4", "memory://rec/gone.mp4", "memory://none/", **options)
    state, reason = files["memory://rec/bad.mp4"]
    assert state == "failed" and reason.startswith("not a video that FFmpeg can read") and code == 1
    assert files["memory://rec/gone.mp4"] == ("failed", "no such file")
    assert files["memory://none/"] == ("failed", "no video in this folder")
    files, _ = far.batch("memory://rec/bad.mp4", **options)
    assert "not retried, unless with --retry-failed" in files["memory://rec/bad.mp4"][1]
    files, _ = far.batch("memory://rec/bad.mp4", retry_failed=True, **options)
    assert "--retry-failed" not in files["memory://rec/bad.mp4"][1] and names(store, "/out") == []


def test_a_dry_run_writes_nothing_anywhere(far, store, clip):
    store.pipe("/rec/a.mp4", clip)
    _, code = far.batch("memory://rec", out_dir="memory://out", dry_run=True)
    assert [item.action for item in far.outcome.plan.decisions] == ["do"] and code == 0
    assert store.find("/") == ["/rec/a.mp4"] and sorted(os.listdir()) == ["a.mp4", "copies"]


def test_own_outputs_beside_the_inputs_are_no_inputs(far, store, clip):
    store.pipe("/rec/a.mp4", clip)
    for state in ("done", "skipped"):
        assert far.states("memory://rec/", out_dir="memory://rec") == [state]
    assert far.reporter.notes == ["memory://rec/a_annotated.mp4: made by an earlier batch, left out"]


def test_an_output_folder_that_is_not_there_is_empty_and_one_that_is_closed_is_told(far, store, clip, monkeypatch):
    store.pipe("/rec/a.mp4", clip)
    answer = FileNotFoundError("no such bucket")

    def find(self, *args, **more):
        raise answer

    monkeypatch.setattr(type(store), "find", find)
    far.batch("memory://rec/a.mp4", out_dir="memory://out", dry_run=True)
    assert [item.action for item in far.outcome.plan.decisions] == ["do"]
    answer = PermissionError("Forbidden")
    with pytest.raises(SinkError, match=r"memory://out: the output folder cannot be listed \(Forbidden\)"):
        far.batch("memory://rec/a.mp4", out_dir="memory://out", dry_run=True)


def test_a_file_that_appears_meanwhile_stays(far, store, clip):
    store.pipe("/rec/a.mp4", clip)
    far.runtime.before = lambda calls: store.pipe("/out/a_annotated.mp4", b"mine")
    files, _ = far.batch("memory://rec", out_dir="memory://out")
    assert files["memory://rec/a.mp4"] == (
        "failed",
        "memory://out/a_annotated.mp4: was created by another program meanwhile; -y replaces it",
    )
    assert store.cat("/out/a_annotated.mp4") == b"mine"


@pytest.mark.parametrize("step", ["put_file", "mv"])
def test_of_a_copy_that_fails_nothing_is_left_and_the_next_batch_does_it(far, store, clip, step, monkeypatch):
    """Local folders through fsspec: files are renamed when they are whole."""
    Path("rec").mkdir()
    Path("rec/a.mp4").write_bytes(clip)
    system = type(fsspec.filesystem("local"))
    real, calls = getattr(system, step), []

    def fail_second(self, *args, **more):
        calls.append(args)
        if len(calls) == 2:
            raise OSError("the share\nis gone")
        return real(self, *args, **more)

    monkeypatch.setattr(system, step, fail_second)
    config = RunConfig(stats="{stem}.json")
    source, out = f"local://{far.path}/rec/*.mp4", f"local://{far.path}/out"
    files, code = far.batch(source, config=config, out_dir=out, report=False)
    [(state, reason)] = files.values()
    assert state == "failed" and reason.endswith("a_annotated.mp4: cannot be written (the share)") and code == 1
    assert far.outputs() == []
    assert far.states(source, config=config, out_dir=out) == ["done"]
    assert far.outputs() == ["a.json", "a_annotated.mp4"] and not Path("out", ".vidseg-batch").exists()
    assert far.states(source, config=config, out_dir=out) == ["skipped"]
    os.utime("rec/a.mp4", ns=(1, 1))
    assert far.states(source, config=config, out_dir=out) == ["done"]


def test_an_aborted_copy_is_a_stopped_job(far, store, clip):
    store.pipe("/a.mp4", clip)
    job = Job(1, "a.mp4", RunConfig(source="memory://a.mp4", output="out/v.mp4"))
    result = remote_attempt(job, lambda one: pytest.fail("was done"), aborted=lambda: True)
    assert result.state == "stopped"


def test_a_copy_that_is_too_short_is_no_input(far, store, clip, monkeypatch):
    store.pipe("/rec/a.mp4", clip)
    monkeypatch.setattr(type(store), "open", lambda self, path, mode, **more: BytesIO(clip[:100]))
    files, _ = far.batch("memory://rec/a.mp4")
    reason = f"the transfer was cut off after 100 of {len(clip)} bytes; try again"
    assert files["memory://rec/a.mp4"] == ("failed", reason) and far.outputs() == []


def test_no_space_for_copies_is_told(far, store, clip, monkeypatch):
    store.pipe("/rec/a.mp4", clip)
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null/none")
    files, _ = far.batch("memory://rec/a.mp4")
    assert files["memory://rec/a.mp4"] == ("failed", "/dev/null/none: cannot be written (Not a directory)")


def test_marks_of_attempts_are_gone_when_the_cluster_is_done(store):
    with staging_folder("memory://out", Path("archive"), hidden="hidden") as url:
        store.pipe(url.removeprefix("memory:/") + "/3.named", b"")
        assert store.find("/out") == [url.removeprefix("memory:/") + "/3.named"]
    assert store.find("/out") == []


def test_nodes_of_a_cluster_do_the_same(far, store, clip):
    store.pipe("/rec/a.mp4", clip)
    config = RunConfig(source="memory://rec/a.mp4", output="memory://out/v.mp4")

    def do(**more):
        task = ray_worker.Task(Job(3, "a.mp4", config), RunConfig(), **more)
        return ray_worker.do_task(vidseg.__version__, pickle.dumps(task), lambda number, told: None)

    result = do(out_dir="memory://out", staging="memory://out/.vidseg-batch/attempts/1")
    assert result.state == "done" and list(result.outputs) == ["memory://out/v.mp4"]
    assert names(store, "/out") == [".vidseg-batch/attempts/1/3.named", "v.mp4"]
    assert do(out_dir="memory://out", staging="memory://out/.vidseg-batch/attempts/1").state == "done"
    assert (
        "v.mp4: was created by another program"
        in do(out_dir="memory://out", staging="memory://out/.vidseg-batch/attempts/2").reason
    )

    Path("out/staging").mkdir(parents=True)
    config = RunConfig(
        source="memory://rec/a.mp4", output=str(far.path / "out/v.mp4"), stats=str(far.path / "out/s.json")
    )
    result = do(out_dir=str(far.path / "out"), staging=str(far.path / "out/staging"))
    assert result.state == "done" and Path("out/v.mp4").exists()
    assert json.loads(Path("out/s.json").read_text())["config"]["source"] == "memory://rec/a.mp4"
    assert result.outputs[str(far.path / "out/s.json")].size == Path("out/s.json").stat().st_size


# web servers


class Web:
    """A server of one folder. `sent` limits how much of a body is sent; `tag` is the ETag."""

    def __init__(self, files):
        self.files, self.sent, self.tag, self.status = files, None, lambda: "1", {}
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer()

            def do_GET(self):
                body = self.answer()
                if body is not None:
                    self.wfile.write(body[: web.sent])

            def answer(self):
                body = web.files.get(self.path.partition("?")[0])
                status = web.status.get(self.path, 200 if body is not None else 404)
                if status != 200:
                    self.send_error(status)
                    return None
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", web.tag())
                self.end_headers()
                return body

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(files):
    web = Web(files)
    thread = threading.Thread(target=web.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.server.shutdown()
        thread.join()
        web.server.server_close()


@pytest.fixture
def web(clip):
    pytest.importorskip("aiohttp")
    with serving({"/rec/a.mp4": clip}) as web:
        yield web


def test_a_file_of_a_web_server_is_done_once_and_its_secrets_are_kept(far, web):
    url = f"http://me:hush@{web.address}/rec/a.mp4?token=hush%d"
    shown = f"http://***@{web.address}/rec/a.mp4?token=***"
    config = RunConfig(stats="{stem}.json")
    files, code = far.batch(url % 1, config=config, name="{date}_{parent}_{stem}{ext}")
    assert files == {shown: ("done", "")} and code == 0
    assert far.outputs() == ["1970-01-01_rec_a.mp4", "a.json"]
    assert far.states(url % 2, config=config, name="{date}_{parent}_{stem}{ext}") == ["skipped"]
    web.tag = lambda: "2"
    assert far.states(url % 3, config=config, name="{date}_{parent}_{stem}{ext}") == ["done"]
    written = [path for path in Path("out").rglob("*") if path.is_file()]
    assert len(written) > 4 and not any(b"hush" in path.read_bytes() for path in written)


def test_a_transfer_that_is_cut_off_or_changes_gives_nothing(far, web):
    url = f"http://{web.address}/rec/a.mp4"
    web.sent = 500
    files, code = far.batch(url)
    assert files[url][0] == "failed" and files[url][1].startswith("cannot be downloaded (") and code == 1
    web.sent = None
    tags = iter(range(100))
    web.tag = lambda: str(next(tags))
    files, _ = far.batch(url)
    assert files[url][1] == "changed while it was being copied; try again when nothing writes to it any more"
    assert far.outputs() == []
    web.tag = lambda: "1"
    assert far.states(url) == ["done"]  # it was not the input's fault


def test_what_a_web_server_does_not_give_is_told_in_one_line(far, web):
    web.status["/rec/no.mp4"] = 403
    base = f"http://me:hush@{web.address}"
    files, code = far.batch(
        f"{base}/rec/gone.mp4", f"{base}/rec/no.mp4", f"{base}/rec/", "http://me:hush@127.0.0.1:9/a"
    )
    shown = f"http://***@{web.address}"
    assert code == 1 and "hush" not in str(files)
    assert files[f"{shown}/rec/gone.mp4"] == ("failed", "no such file")
    assert files[f"{shown}/rec/no.mp4"] == ("failed", "the server answered 403 Forbidden")
    assert files[f"{shown}/rec/"][1] == "a web server cannot list its files; name each file"
    assert "connect" in files["http://***@127.0.0.1:9/a"][1].lower()
    with pytest.raises(SinkError, match="a web server cannot take outputs"):
        far.batch("a.mp4", out_dir=f"http://{web.address}/out")


# the rest


@pytest.mark.parametrize("missing", ["fsspec", "aiohttp"])
def test_without_the_packages_one_line_says_how_to_get_them(far, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        ConfigError, match=rf"http://h/a\.mp4: {missing} is not installed; pip install 'vidseg\[remote\]'"
    ):
        far.batch("http://h/a.mp4")


def test_a_missing_package_of_a_store_is_named(far, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ConfigError, match=r"s3://b/a\.mp4: a package for fsspec is missing \(.*s3fs.*\)"):
        far.batch("s3://b/a.mp4")


@pytest.mark.parametrize(
    ("url", "name", "path"),
    [
        ("https://u:p@h/rec/a.mp4?sig=1/2#x", "https://***@h/rec/a.mp4", "/h/rec/a.mp4"),
        ("https://h/rec/a.mp4?id=5&token=2", "https://h/rec/a.mp4?id=5&token=***", "/h/rec/a.mp4"),
        ("s3://bucket/rec/what?.mp4", "s3://bucket/rec/what?.mp4", "/bucket/rec/what?.mp4"),
    ],
)
def test_names_of_urls(url, name, path):
    assert (known_as(url), plain_path(url)) == (name, path)


def test_one_file_has_one_identity_however_it_is_asked_for():
    listed = _identity({"size": 5, "ETag": '"a"', "LastModified": "2026-01-02T03:04:05.678+00:00"})
    asked = _identity({"size": 5, "ETag": '"a"', "Last-Modified": "Fri, 02 Jan 2026 03:04:05 GMT"})
    assert listed == asked and listed.mtime_ns == 1767323045 * 10**9
    assert _identity({"size": None, "type": "file"}).size == 0
    assert _identity({"size": 5, "mtime": 1.5}) != _identity({"size": 5, "mtime": 1.6})


def test_jobs_never_raise(far, store, clip):
    store.pipe("/a.mp4", clip)
    job = Job(1, "a.mp4", RunConfig(source="memory://a.mp4", output="out/v.mp4"))

    def fail(one: Job) -> JobResult:
        raise RuntimeError("out of luck\nlong story")

    result = remote_attempt(job, fail)
    assert (result.state, result.reason) == ("failed", "unexpected RuntimeError: out of luck")
    assert "RuntimeError" in result.trace
