"""Numbers that defaults are computed from: here the table of options and the code that uses them both see them."""

from __future__ import annotations

MEMORY_SECONDS = 0.15
"""Of the smoothing: after this time a frame counts 1/e. With less it flickers, with more it lags behind what moves
unpredictably: 0.1, 0.15 and 0.2 left 50, 45 and 43 % of the flicker of the sample and 57, 49 and 44 % of CamVid's
(margin 0.2)."""
MEMORIES = 25
"""The usual overlap of workers, in times of the smoothing's memory. After 15 labels agree, but for the last digits of
scores that may tip one later; these fade as well: exp(-25) is well below what float32 can tell apart."""
OPACITY = 0.5
"""Of the class colours, where nothing else is said."""
MARGIN_DIVISOR = 60
"""Regions that are blurred grow by the short side of the picture, divided by this."""
CUDA_BATCH = 8
"""Frames segmented at once on CUDA by default: one at a time leaves a GPU idle."""
OPENVINO_BATCH = 2
"""On CPUs with OpenVINO, which gives the same bits whatever the batch (torch does not): some 7 % more frames per second
with a small network. Four at once gain a little more in long videos and lose it in short ones, for the first batch
takes longer. A large network takes more memory instead."""
H264_CRF = 23
H264_PRESET = "veryfast"
CAMERA_FORMAT = "mjpeg"
"""What a camera is asked for with a size. Uncompressed pictures above 640x480 are too much for USB 2; nearly every
camera has Motion JPEG too."""
