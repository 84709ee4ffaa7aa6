"""What a run sends on. See `vidseg.video` for why OpenCV comes first."""

import cv2  # noqa: F401
