"""What light and cameras do to a picture: colours, fog, night, blur, noise, compression. Labels stay as they are.

Every draw comes from the generator that is passed in, so a change is repeated by repeating its seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vidseg.frames import FloatArray, UInt8Array


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """How much a picture is changed: probabilities or largest shares, and ranges that are drawn from evenly."""

    brightness: float = 0.25
    contrast: float = 0.25
    saturation: float = 0.35
    hue_degrees: float = 8.0
    white_balance: float = 0.4
    white_balance_gain: tuple[float, float] = (0.75, 1.3)
    """Of red and of blue, relative to green."""
    gamma: float = 0.3
    gamma_exponent: tuple[float, float] = (0.6, 1.7)
    night: float = 0.1
    night_light: tuple[float, float] = (0.12, 0.5)
    """Share of the light that is left; noise comes with it."""
    fog: float = 0.06
    fog_density: tuple[float, float] = (0.2, 0.65)
    """Share of the picture that is fog, at its densest."""
    blur: float = 0.15
    blur_sigma: tuple[float, float] = (0.4, 1.6)
    motion: float = 0.08
    motion_length: tuple[float, float] = (3.0, 11.0)
    """Pixels over which a moving camera smears a point."""
    noise: float = 0.15
    noise_sigma: tuple[float, float] = (2.0, 12.0)
    jpeg: float = 0.3
    jpeg_quality: tuple[int, int] = (10, 85)


def photographed(image: UInt8Array, options: CameraOptions, rng: np.random.Generator) -> UInt8Array:
    """The same picture (H, W, 3), RGB, in other light and by another camera."""
    pixels = _recoloured(image.astype(np.float32), options, rng)
    pixels = _in_other_light(pixels, options, rng)
    return _camera_faults(_bytes(pixels), options, rng)


def _bytes(pixels: FloatArray) -> UInt8Array:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def _recoloured(pixels: FloatArray, options: CameraOptions, rng: np.random.Generator) -> FloatArray:
    """Brightness, contrast, saturation and hue."""
    gain = 1 + options.brightness * rng.uniform(-1, 1)
    contrast = 1 + options.contrast * rng.uniform(-1, 1)
    saturation = 1 + options.saturation * rng.uniform(-1, 1)
    turn = np.radians(options.hue_degrees * rng.uniform(-1, 1))
    pixels = np.asarray(pixels * gain, dtype=np.float32)
    grey = (pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32))[..., None]
    mean = grey.mean()
    toned = (pixels - grey) @ _hue_rotation(turn) * np.float32(saturation) + grey
    return np.asarray((toned - mean) * np.float32(contrast) + mean, dtype=np.float32)


def _hue_rotation(angle: float) -> FloatArray:
    """(3, 3), for row vectors of RGB: a turn about the grey axis."""
    cos, third, side = np.cos(angle), (1 - np.cos(angle)) / 3, np.sin(angle) / np.sqrt(3)
    matrix = np.array(
        [
            [cos + third, third + side, third - side],
            [third - side, cos + third, third + side],
            [third + side, third - side, cos + third],
        ]
    )
    return matrix.astype(np.float32)


def _in_other_light(pixels: FloatArray, options: CameraOptions, rng: np.random.Generator) -> FloatArray:
    """White balance, gamma, night and fog, in the order of less and less light getting through."""
    if rng.random() < options.white_balance:
        red, blue = rng.uniform(*options.white_balance_gain, 2)
        pixels = np.asarray(pixels * (red, 1, blue), dtype=np.float32)
    if rng.random() < options.gamma:
        pixels = _with_gamma(pixels, rng.uniform(*options.gamma_exponent))
    if rng.random() < options.night:
        light = rng.uniform(*options.night_light)
        tint = rng.uniform(0.8, 1.2, 3).astype(np.float32)
        noise = rng.normal(0, rng.uniform(2, 14), pixels.shape).astype(np.float32)
        pixels = _with_gamma(pixels, 1.3) * np.float32(light) * tint + noise
    if rng.random() < options.fog:
        density = rng.uniform(*options.fog_density)
        # denser towards the top, where what is seen is mostly farther away
        share = np.linspace(density, density * rng.uniform(0.2, 1.0), len(pixels), dtype=np.float32)[:, None, None]
        pixels = pixels * (1 - share) + np.float32(rng.uniform(150, 235)) * share
    return pixels


def _with_gamma(pixels: FloatArray, exponent: float) -> FloatArray:
    changed: FloatArray = np.float32(255) * (np.clip(pixels, 0, 255) / np.float32(255)) ** np.float32(exponent)
    return changed


def _camera_faults(image: UInt8Array, options: CameraOptions, rng: np.random.Generator) -> UInt8Array:
    """Blur, noise and compression, in the order in which a camera adds them."""
    if rng.random() < options.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(*options.blur_sigma)), dtype=np.uint8)
    if rng.random() < options.motion:
        kernel = _motion_kernel(rng.uniform(*options.motion_length), rng.uniform(0, np.pi))
        image = np.asarray(cv2.filter2D(image, -1, kernel), dtype=np.uint8)
    if rng.random() < options.noise:
        noise = rng.normal(0, rng.uniform(*options.noise_sigma), image.shape).astype(np.float32)
        image = _bytes(image + noise)
    if rng.random() < options.jpeg:
        low, high = options.jpeg_quality
        # the codec calls its channels BGR; called so, chroma is handled as in a photo
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
        _, code = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(low, high + 1))])
        decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
        assert decoded is not None
        image = np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), dtype=np.uint8)
    return image


def _motion_kernel(length: float, angle: float) -> FloatArray:
    """A line through the middle of a square, of this length in pixels; its cells sum to 1."""
    side = int(np.ceil(length)) | 1
    middle, reach = side // 2, (length - 1) / 2
    kernel = np.zeros((side, side), dtype=np.float32)
    for step in np.linspace(-reach, reach, 2 * side):
        kernel[round(middle + step * np.sin(angle)), round(middle + step * np.cos(angle))] = 1
    line: FloatArray = kernel / kernel.sum()
    return line
