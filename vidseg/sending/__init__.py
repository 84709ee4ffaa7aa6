"""Sending streams to servers and receivers. See `vidseg.video` for why OpenCV comes first."""

import cv2  # noqa: F401
