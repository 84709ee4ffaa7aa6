import os
import pickle
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidseg.batch.archive import Archive, Record
from vidseg.batch.inputs import Identity, Input
from vidseg.batch.plan import NameTemplate, decide, drop_own_outputs, make_jobs, settings_digest
from vidseg.config import RunConfig
from vidseg.errors import ConfigError

ID, OTHER = Identity(10, 20), Identity(10, 21)
OUT = "/out"


def item(path, folder=""):
    return Input(path, os.path.basename(path), folder, ID)


def jobs_of(*paths, config=None, name="{stem}_annotated{ext}", out_dir=OUT, container="mp4"):
    inputs = [path if isinstance(path, Input) else item(path) for path in paths]
    return make_jobs(inputs, config or RunConfig(), out_dir=out_dir, name=name, container=container)


# names


def test_a_job_names_all_its_outputs_below_the_output_folder_and_can_be_sent_elsewhere():
    config = RunConfig(save_masks="{stem}_masks", stats="data/{stem}.json", crf=20)
    [job] = jobs_of(item("/rec/day/a.mkv", "day"), config=config)
    assert job.source == "/rec/day/a.mkv" and job.config.crf == 20
    assert job.outputs == {
        "output": "/out/day/a_annotated.mp4",
        "save_masks": "/out/day/a_masks",
        "stats": "/out/day/data/a.json",
    }
    assert pickle.loads(pickle.dumps(job)) == job
    assert job.as_dict()["config"]["save_masks"] == "/out/day/a_masks"


def test_names_are_made_of_fields():
    name = "{date}/{parent}-{index:03}-{name}-{stem}{ext}"
    day = replace(item("/rec/cam1/b.c.mov"), identity=Identity(1, 86_400 * 10**9 * 365))
    jobs = jobs_of("/rec/a.mp4", day, name=name, container="mkv")
    assert [os.path.relpath(job.config.output, OUT) for job in jobs][1] == "1971-01-01/cam1-002-b.c.mov-b.c.mkv"


def test_no_template_writes_no_video():
    [job] = jobs_of("/rec/a.mp4", name=None, config=RunConfig(stats="{stem}.json"))
    assert job.outputs == {"stats": "/out/a.json"} and job.config.output is None


@pytest.mark.parametrize(
    "text",
    [
        "{nothing}.mp4",
        "{}.mp4",
        "{stem",
        "{stem!r}",
        "{stem.__class__}",
        "{index:q}",
        "/abs{ext}",
        "../{stem}",
        "",
        "a//b",
    ],
)
def test_templates_that_cannot_work_are_told_before_anything_starts(text):
    with pytest.raises(ConfigError, match="--name"):
        NameTemplate(text, "--name")


@given(st.text(min_size=1), st.text(min_size=1, max_size=5))
def test_a_name_never_leaves_the_output_folder(stem, parent):
    template = NameTemplate("{parent}/{stem}{ext}", "--name")
    try:
        name = template.fill(stem=stem, parent=parent, ext="", name=stem, index=1, date="")
    except ConfigError:
        return  # "..", "." and NUL
    path = os.path.normpath(os.path.join(OUT, name))
    assert path.startswith(OUT + "/") and path.count("/") == 3


@given(st.lists(st.sampled_from("abcABC.~é\n"), min_size=1, max_size=4, unique=True), st.booleans())
def test_different_inputs_never_share_an_output(stems, with_masks):
    config = RunConfig(save_masks="{stem}_masks" if with_masks else None)
    jobs = jobs_of(*(f"/rec/{stem}x.mp4" for stem in stems), config=config)
    paths = [path for job in jobs for path in job.outputs.values()]
    assert len(set(paths)) == len(paths) == len(stems) * (1 + with_masks)


def test_two_inputs_with_one_output_name_are_named_both():
    with pytest.raises(ConfigError, match=r"/out/a_annotated\.mp4: would be written twice, for a\.mp4 and a\.mov; use"):
        jobs_of("/rec/a.mp4", "/rec/a.mov")
    assert len(jobs_of("/rec/a.mp4", "/rec/a.mov", name="{name}{ext}")) == 2
    with pytest.raises(
        ConfigError, match=r"^--save-masks masks: would be .* twice, for a\.mp4 and b\.mp4; put \{stem\}"
    ):
        jobs_of("/rec/a.mp4", "/rec/b.mp4", config=RunConfig(save_masks="masks"))
    with pytest.raises(ConfigError, match=r"written twice, for a\.mp4"):
        jobs_of("/rec/a.mp4", config=RunConfig(stats="{stem}_annotated.mp4"))


def test_no_output_may_be_an_input():
    with pytest.raises(ConfigError, match=r"/out/b\.mp4: is an input and would be an output of b\.mp4"):
        jobs_of("/out/b.mp4", name="{name}")
    with pytest.raises(ConfigError, match=r"is an input and would be an output of a\.mp4"):
        jobs_of("/out/a.mp4", "/out/a_annotated.mp4")


def test_what_a_batch_made_is_no_input_of_the_next(tmp_path):
    with Archive(tmp_path / "a.jsonl", write=True) as archive:
        archive.add(Record("/out/a.mp4", ID, "s", "done", {"a_annotated.mp4": ID}))
        kept, dropped = drop_own_outputs([item("/out/a.mp4"), item("/out/a_annotated.mp4")], archive, OUT)
    assert [each.name for each in kept] == ["a.mp4"] and dropped == ["a_annotated.mp4"]


# what settings make a difference


def test_only_settings_that_change_outputs_make_them_stale(tmp_path):
    base = settings_digest(RunConfig(), "long side 512")
    for same in ({"threads": 3}, {"device": "cpu"}, {"quiet": True}, {"overwrite": True}, {"imgsz": 512}, {"batch": 2}):
        assert settings_digest(RunConfig(**same), "long side 512") == base
    for other in ({"crf": 20}, {"classes": ("sky",)}, {"model": "x"}, {"stats": "{stem}.json"}):
        assert settings_digest(RunConfig(**other), "long side 512") != base
    assert settings_digest(RunConfig(), "long side 640") != base
    named, again = RunConfig(stats="{stem}.json"), RunConfig(stats="{name}.json")
    assert settings_digest(named, "long side 512") == settings_digest(again, "long side 512")


def test_other_weights_under_the_same_name_make_a_difference(tmp_path):
    weights = tmp_path / "w.pth"
    weights.write_bytes(b"1")
    before = settings_digest(RunConfig(weights=str(weights)), "long side 512")
    time = weights.stat().st_mtime_ns
    weights.write_bytes(b"2")
    os.utime(weights, ns=(time, time))
    assert settings_digest(RunConfig(weights=str(weights)), "long side 512") != before
    weights.write_bytes(b"1")
    assert settings_digest(RunConfig(weights=str(weights)), "long side 512") == before


# what is to be done


@pytest.fixture
def archive(tmp_path):
    with Archive(tmp_path / "a.jsonl", write=True) as archive:
        yield archive


def made(state="done", identity=ID, settings="s", output=ID, **more):
    outputs = {"a_annotated.mp4": output} if output else {}
    return Record("/rec/a.mp4", identity, settings, state, outputs, **more)


def decision(archive, *, on_disk=None, config=None, identity=ID, **options):
    """What becomes of a.mp4 when its output is what `on_disk` says, None for nothing."""
    [job] = jobs_of("/rec/a.mp4", config=config)
    return decide(
        job,
        identity,
        "s",
        archive,
        out_dir=OUT,
        exists=lambda path: on_disk is not None,
        identify=lambda path: on_disk,
        **options,
    )


def test_a_new_input_is_done_and_replaces_nothing(archive):
    found = decision(archive)
    assert (found.action, found.reason, found.job.config.overwrite) == ("do", "", False)
    found = decision(archive, on_disk=ID)
    assert found.action == "fail" and "exists, but was not made from this input; -y replaces it" in found.reason
    found = decision(archive, on_disk=ID, config=RunConfig(overwrite=True))
    assert (found.action, found.job.config.overwrite) == ("do", True)


def test_what_is_done_is_skipped_while_its_output_is_there(archive):
    archive.add(made())
    assert decision(archive, on_disk=ID).action == "skip"
    gone = decision(archive)
    assert (gone.action, gone.reason) == ("do", "again: a_annotated.mp4 is missing")
    assert decision(archive, outputs_may_be_gone=True).action == "skip"


def test_an_output_that_other_settings_replaced_since_does_not_count(archive):
    archive.add(made())
    archive.add(made(settings="other"))
    found = decision(archive, on_disk=ID)
    assert (found.action, found.reason) == ("do", "again: made with other settings since then")


def test_a_changed_input_or_other_settings_are_done_again_over_the_own_output(archive):
    archive.add(made())
    found = decision(archive, identity=OTHER, on_disk=ID)
    assert (found.action, found.reason, found.job.config.overwrite) == ("do", "again: the input changed", True)
    archive.add(made(settings="other"))
    found = decision(archive, identity=OTHER, on_disk=ID)
    assert found.action == "do"


def test_other_settings_say_so(archive):
    archive.add(made(settings="other"))
    found = decision(archive, on_disk=ID)
    assert (found.action, found.reason, found.job.config.overwrite) == ("do", "again: other settings", True)


def test_an_output_that_somebody_changed_is_not_replaced(archive):
    archive.add(made(settings="other"))
    assert decision(archive, on_disk=OTHER).action == "fail"
    assert decision(archive, on_disk=OTHER, config=RunConfig(overwrite=True)).action == "do"


def test_an_output_of_another_input_is_not_replaced(archive):
    archive.add(replace(made(), source="/elsewhere/a.mp4"))
    assert decision(archive, on_disk=ID).action == "fail"


def test_what_failed_because_of_its_input_waits_for_retry_or_another_input(archive):
    archive.add(made("failed", output=None, reason="broken", input_fault=True))
    found = decision(archive)
    assert (found.action, found.reason) == ("fail", "broken; not retried, unless with --retry-failed")
    assert decision(archive, retry_failed=True).reason == "again: failed before"
    assert decision(archive, identity=OTHER).action == "do"


def test_what_failed_for_another_reason_is_tried_again(archive):
    archive.add(made("failed", output=None, reason="disk full"))
    assert (decision(archive).action, decision(archive).reason) == ("do", "again: failed before")


def test_what_was_interrupted_is_done_again_also_over_what_it_left(archive):
    archive.add(made("started"))
    assert decision(archive).reason == "again: was interrupted"
    found = decision(archive, on_disk=OTHER)
    assert (found.action, found.job.config.overwrite) == ("do", True)


def test_redo_does_all_again(archive):
    archive.add(made())
    found = decision(archive, on_disk=ID, redo=True)
    assert (found.action, found.reason, found.job.config.overwrite) == ("do", "again: --redo", True)
    assert decision(archive, on_disk=OTHER, redo=True).action == "fail"
