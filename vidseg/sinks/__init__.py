"""Files and pipes that a run writes. See `vidseg.video` for why OpenCV comes first."""

import cv2  # noqa: F401
