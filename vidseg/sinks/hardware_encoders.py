"""Hardware encoders: which work here, and which software encoder replaces one that does not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import av

from vidseg.video.encoders import ENCODERS, HARDWARE, EncoderPlan, trial_problem

_FAMILIES = ("h264", "hevc", "av1")


@dataclass(frozen=True, slots=True)
class Instead:
    """A software encoder of the same codec."""

    codec: str
    """Key of `ENCODERS`."""
    encoder_preset: str | None
    reason: str
    """One line that says what happened."""


def software_instead(codec: str, encoder_preset: str | None, size: tuple[int, int]) -> Instead | None:
    """What to encode with where `codec` names a hardware encoder that cannot be opened here; None for all others.

    Args:
        codec: as `--codec` takes it.
        encoder_preset: left out where the software encoder does not know it.
        size: (width, height) of the pictures.
    """
    name = codec.casefold()
    family, _, kind = name.rpartition("_")
    if kind not in HARDWARE or family not in ENCODERS or ENCODERS[family].name not in av.codecs_available:
        return None
    problem = hardware_problem(name, size)
    if problem is None:
        return None
    software = ENCODERS[family]
    reason = f"codec {name}: cannot be used here ({problem}); encoding with {software.name}"
    if encoder_preset is not None and encoder_preset not in software.presets:
        reason += f", without the encoder preset {encoder_preset}"
        encoder_preset = None
    return Instead(family, encoder_preset, reason)


def hardware_problem(name: str, size: tuple[int, int]) -> str | None:
    """Why the hardware encoder of this FFmpeg name cannot be opened for pictures of this size; None if it can."""
    if name not in av.codecs_available:
        return "this FFmpeg was built without it"
    encoder = replace(HARDWARE[name.rpartition("_")[2]], name=name)
    problem = trial_problem(EncoderPlan(encoder, encoder.fixed_options), size)
    return problem and f"no hardware or driver for it: {problem}"


def hardware_encoders() -> list[str]:
    """Names of those that this FFmpeg was built with, whether the hardware is there or not."""
    names = (f"{family}_{kind}" for family in _FAMILIES for kind in HARDWARE)
    return [name for name in names if name in av.codecs_available]
