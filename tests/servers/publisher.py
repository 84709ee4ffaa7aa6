"""Sends a moving test picture to a URL in real time until it is killed. A process of its own, to be killed or frozen.

python -m tests.servers.publisher URL FORMAT [WIDTHxHEIGHT] [RATE]
"""

from __future__ import annotations

import sys
import time
from fractions import Fraction

import av

from vidseg.video.pattern_source import PatternSource

url, container, *rest = sys.argv[1:]
size, rate = (*rest, *("96x64", "25")[len(rest) :])[:2]
source = PatternSource(f"test:{size}@{rate},frames=inf")
print("ready", flush=True)
with av.open(url, "w", format=container) as output:
    stream = output.add_stream("libx264", rate=int(rate))
    stream.width, stream.height, stream.pix_fmt = source.info.width, source.info.height, "yuv420p"
    stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "10", "threads": "1"}
    begin = time.monotonic()
    for frame in source:
        time.sleep(max(0.0, begin + frame.index / int(rate) - time.monotonic()))
        picture = av.VideoFrame.from_ndarray(frame.image, format="rgb24")
        picture.pts, picture.time_base = frame.index, Fraction(1, int(rate))
        output.mux(stream.encode(picture))
