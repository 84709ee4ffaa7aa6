"""Hardware encoders: what FFmpeg says of their options, and what is taken in the place of one that does not work.

What is not there fails for real; where a machine has all of them, there is nothing to take the place of.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import pytest

from vidseg.errors import SinkError
from vidseg.sinks import hardware_encoders as module
from vidseg.sinks.hardware_encoders import hardware_encoders, hardware_problem, software_instead
from vidseg.sources.hwaccel import open_device
from vidseg.video.encoders import (
    ENCODERS,
    HARDWARE,
    EncodeOptions,
    EncoderPlan,
    plan_encoder,
    trial_problem,
    without_delay,
)

SIZE = (320, 192)


@pytest.fixture
def nothing_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "trial_problem", lambda plan, size: "Operation not permitted")


def missing() -> list[str]:
    return [name for name in hardware_encoders() if hardware_problem(name, SIZE) is not None]


def test_an_encoder_without_its_hardware_is_replaced_by_software_of_the_same_codec() -> None:
    for name in missing():
        instead = software_instead(name, None, SIZE)
        assert instead is not None and instead.codec == name.partition("_")[0]
        assert f"codec {name}: cannot be used here (no hardware or driver for it" in instead.reason
        assert instead.reason.endswith(f"encoding with {ENCODERS[instead.codec].name}")
        assert "\n" not in instead.reason
        plan_encoder("a.mp4", "mp4", EncodeOptions(instead.codec, encoder_preset=instead.encoder_preset), SIZE)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("h264_nvenc", "h264"), ("HEVC_QSV", "hevc"), ("av1_nvenc", "av1"), ("h264_videotoolbox", "h264")],
)
def test_every_codec_has_its_own(nothing_opens: None, name: str, codec: str) -> None:
    instead = software_instead(name, None, SIZE)
    assert instead is not None and instead.codec == codec


def test_an_encoder_that_this_ffmpeg_lacks_is_replaced_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"h264_vaapi"})
    instead = software_instead("h264_vaapi", None, SIZE)
    assert instead is not None and "(this FFmpeg was built without it); encoding with libx264" in instead.reason


def test_a_preset_goes_only_where_it_is_unknown(nothing_opens: None) -> None:
    left_out = software_instead("h264_nvenc", "p5", SIZE)
    kept = software_instead("h264_qsv", "veryslow", SIZE)
    assert left_out is not None and left_out.encoder_preset is None
    assert left_out.reason.endswith("encoding with libx264, without the encoder preset p5")
    assert kept is not None and kept.encoder_preset == "veryslow" and "preset" not in kept.reason


@pytest.mark.parametrize("name", ["h264", "libx264", "ffv1", "h264_v4l2m2m", "no_such_nvenc"])
def test_nothing_else_is_replaced(nothing_opens: None, name: str) -> None:
    assert software_instead(name, None, SIZE) is None


def test_one_that_works_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "trial_problem", lambda plan, size: None)
    assert software_instead("h264_nvenc", "p5", SIZE) is None


def test_without_software_of_the_codec_the_error_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", av.codecs_available - {"libx265"})
    assert software_instead("hevc_nvenc", None, SIZE) is None


def test_the_trial_opens_the_encoder_at_its_size() -> None:
    """libx265 as a stand-in: it opens, but not for pictures of 8x8."""
    plan = EncoderPlan(ENCODERS["hevc"], {"x265-params": "log-level=none"})
    assert trial_problem(plan, SIZE) is None
    assert trial_problem(plan, (8, 8)) is not None


@pytest.mark.parametrize("device", ["cuda", "vaapi"])
def test_the_trial_opens_the_device_that_pictures_are_uploaded_to(device: str) -> None:
    """vaapi as one that the encoder does not know."""
    encoder = replace(HARDWARE["nvenc"], name="h264_nvenc", device=device)
    if device == "cuda" and open_device("cuda")[0] is not None:
        pytest.skip("there is such a device")
    assert trial_problem(EncoderPlan(encoder, encoder.fixed_options), SIZE)


def test_sinks_refuse_what_nobody_replaced() -> None:
    for name in missing():
        with pytest.raises(SinkError, match=rf"codec {name}: the encoder cannot be opened here \(.*\); try h264"):
            plan_encoder("a.mp4", "mp4", EncodeOptions(name), SIZE)


@pytest.mark.parametrize("name", hardware_encoders())
def test_ffmpeg_knows_every_option_that_is_set(name: str) -> None:
    """It passes over options that it does not know, so a wrong name would go unnoticed without the hardware."""
    supported = av.CodecContext.create(name, "w").supported_options
    known = {option.name: option for option in (*supported.generic, *supported.private)}
    encoder = HARDWARE[name.rpartition("_")[2]]
    named = EncoderPlan(replace(encoder, name=name), encoder.fixed_options)
    for option, value in without_delay(named).options.items():
        choices = {choice.name for choice in known[option].choices}
        assert not choices or value in choices or value.isdigit(), option
    assert set(encoder.quality_options) <= set(known)
    if encoder.presets:
        assert set(encoder.presets) <= {choice.name for choice in known[encoder.preset_option].choices}
    formats = av.Codec(name, "w").video_formats
    assert encoder.device or encoder.pix_fmt in {each.name for each in formats or ()}


def test_the_default_preset_of_h264_looks_ahead_unless_pictures_are_to_come_out_at_once() -> None:
    plan = plan_encoder("a.mp4", "mp4", EncodeOptions(), SIZE)
    known = {option.name for option in av.CodecContext.create("libx264", "w").supported_options.private}
    assert set(plan.options) - {"bf"} <= known
    asked_for = plan_encoder("a.mp4", "mp4", EncodeOptions(encoder_preset="veryfast"), SIZE)
    assert set(plan.options) - set(asked_for.options) == {"mbtree", "rc-lookahead", "partitions"}

    def before_the_first_packet(plan: EncoderPlan) -> int:
        encoder = av.CodecContext.create("libx264", "w")
        assert isinstance(encoder, av.VideoCodecContext)
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = *SIZE, "yuv420p", Fraction(1, 25)
        encoder.options, encoder.thread_count = dict(plan.options), 1
        frame = av.VideoFrame(*SIZE, "yuv420p")
        for count in range(40):
            frame.pts = count
            if encoder.encode(frame):
                return count
        return 40

    assert before_the_first_packet(without_delay(plan)) == 0 < before_the_first_packet(plan)
    assert without_delay(plan).options == without_delay(asked_for).options
    slower = plan_encoder("a.mp4", "mp4", EncodeOptions(encoder_preset="slow"), SIZE)
    assert without_delay(slower).options["preset"] == "slow"
