"""The sound of the clip, made from sines and noise: engine, tyres, passing cars, steps, birds."""

from __future__ import annotations

import numpy as np

from street.scene import SECONDS, camera_at, camera_way, oncoming_cars
from street.view import FloatArray

SAMPLE_RATE = 44100
BIRDS = ((0.6, 3900, 0.7), (0.95, 4300, 0.7), (2.2, 3300, 0.25), (3.9, 4100, 0.85), (4.2, 4500, 0.85), (5.8, 3500, 0.4))
"""Chirps: seconds, Hz, place from left (0) to right (1)."""


def _band(noise: FloatArray, low: float, high: float) -> FloatArray:
    """Noise with what lies outside low..high Hz taken out, deviation 1."""
    spectrum = np.fft.rfft(noise)
    hertz = np.fft.rfftfreq(len(noise), 1 / SAMPLE_RATE)
    spectrum *= 1 / (1 + (low / np.maximum(hertz, 1)) ** 4) / (1 + (hertz / high) ** 4)
    kept = np.fft.irfft(spectrum, len(noise))
    return np.asarray(kept / max(float(kept.std()), 1e-9), np.float32)


def street_sound(seconds: float, seed: int = 2024) -> FloatArray:
    """(2, samples) stereo at `SAMPLE_RATE`, -1..1, for the first `seconds` of the clip."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    speed = np.gradient([camera_way(t) for t in np.arange(0, SECONDS + 1, 0.05)], 0.05)
    speed = np.interp(time, np.arange(0, SECONDS + 1, 0.05), speed)
    turns = np.cumsum(22 + 4.5 * speed) / SAMPLE_RATE
    engine = sum(np.sin(2 * np.pi * turns * k + k) / k**1.2 for k in (1, 2, 3, 4, 6, 8))
    engine = engine * (0.85 + 0.15 * np.sin(2 * np.pi * turns / 2))
    left = 0.055 * engine + 0.022 * speed / 4.6 * _noise(time, 90, 900, rng)
    right = 0.055 * engine + 0.022 * speed / 4.6 * _noise(time, 90, 900, rng)
    hush = 0.012 * _noise(time, 60, 400, rng)
    left, right = left + hush, right + hush
    for place in oncoming_cars():
        passing = _noise(time, 120, 1800, rng)
        way = np.array(
            [(place(t)[0] - camera_at(t, (16, 9)).position[0], place(t)[2] - camera_way(t)) for t in time[::441]]
        )
        x, z = (np.interp(time, time[::441], way[:, k]) for k in (0, 1))
        loud = 0.55 * passing / (4 + np.hypot(x, z) ** 1.5)
        left, right = left + loud, right + 0.6 * loud
    for start, gap, pan in ((0.2, 0.52, 0.8), (0.45, 0.55, 0.35)):
        for at in np.arange(start, seconds, gap):
            step = _burst(time, at + rng.normal(0, 0.01), 0.028) * _noise(time, 300, 2600, rng) * 0.05
            left, right = left + (1 - pan) * step, right + pan * step
    for at, pitch, pan in BIRDS:
        chirp = _burst(time, at, 0.07) + 0.7 * _burst(time, at + 0.16, 0.05)
        glide = pitch + 500 * np.sin(2 * np.pi * 9 * time)
        note = 0.03 * chirp * np.sin(2 * np.pi * np.cumsum(glide) / SAMPLE_RATE)
        left, right = left + (1 - pan) * note, right + pan * note
    fade = np.clip(np.minimum(time, time[-1] - time) / 0.15, 0, 1)
    return np.asarray(np.clip(np.stack([left, right]) * fade * 1.6, -1, 1), np.float32)


def _noise(time: FloatArray, low: float, high: float, rng: np.random.Generator) -> FloatArray:
    return _band(rng.standard_normal(len(time)).astype(np.float32), low, high)


def _burst(time: FloatArray, at: float, long: float) -> FloatArray:
    """A soft-edged pulse around `at` seconds."""
    return np.asarray(np.exp(-(((time - at) / long) ** 2)), np.float32)
