"""Sends a moving test picture, also with a tone, to a URL in real time until it is killed. A process of its own, to be
killed or frozen.

python -m tests.servers.publisher URL FORMAT [WIDTHxHEIGHT] [RATE] [KEY_FRAME_DISTANCE] [audio]
"""

from __future__ import annotations

import sys
import time
from fractions import Fraction

import av
import numpy as np

from vidseg.sources.pattern_source import PatternSource

url, container, *rest = sys.argv[1:]
size, rate, distance, audio = (*rest, *("96x64", "25", "10", "")[len(rest) :])[:4]
source = PatternSource(f"test:{size}@{rate},frames=inf")
print("ready", flush=True)
with av.open(url, "w", format=container) as output:
    stream = output.add_stream("libx264", rate=int(rate))
    stream.width, stream.height, stream.pix_fmt = source.info.width, source.info.height, "yuv420p"
    stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": distance, "threads": "1"}
    tone = output.add_stream("aac", rate=48_000, layout="mono") if audio else None
    begin = time.monotonic()
    for frame in source:
        time.sleep(max(0.0, begin + frame.index / int(rate) - time.monotonic()))
        picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24")
        picture.pts, picture.time_base = frame.index, Fraction(1, int(rate))
        output.mux(stream.encode(picture))
        if tone is not None:
            length = 48_000 // int(rate)
            times = np.arange(frame.index * length, (frame.index + 1) * length) / 48_000
            piece = av.AudioFrame.from_ndarray(np.sin(2 * np.pi * 440 * times)[None].astype(np.float32), "fltp", "mono")
            piece.sample_rate, piece.pts, piece.time_base = 48_000, frame.index * length, Fraction(1, 48_000)
            output.mux(tone.encode(piece))
