"""Numbers that defaults derive from, kept where both the option table and the code that uses them can see them."""

from __future__ import annotations

MEMORY_SECONDS = 0.15
"""Time constant of the smoothing: a frame this old has weight 1/e. Less flickers more; more lags behind unpredictable
motion. 0.1, 0.15 and 0.2 left 50, 45 and 43 % of the flicker of the sample, and 57, 49 and 44 % of CamVid's (margin
0.2)."""
MEMORIES = 25
"""Default overlap of workers, as a multiple of the smoothing's time constant: exp(-25) is below what float32 can
resolve. The memory of regions lasts longer: docs/batch.md says what differs at a seam in the middle of a scene."""
CONF = 0.5
"""Default confidence that detections have to exceed, as in Focoos."""
OPACITY = 0.5
"""Default opacity of the class colours."""
MARGIN_DIVISOR = 60
"""Hidden regions grow by the short side of the picture divided by this."""
CUDA_BATCH = 8
"""Default batch on CUDA: one frame at a time leaves a GPU idle."""
H264_CRF = 23
H264_PRESET = "superfast"
CAMERA_FORMAT = "mjpeg"
"""Format to request from a camera along with a size. Uncompressed pictures above 640x480 are too much for USB 2, and
nearly every camera also offers Motion JPEG."""
