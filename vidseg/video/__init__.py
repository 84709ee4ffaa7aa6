"""Sources and video sinks.

OpenCV has to be loaded before PyAV: both bring libraries of X, and with PyAV's first OpenCV never opens a window, but
waits for ever (PyAV issue 978, opencv issue 29195). This file is loaded before any other of the folder.
"""

import cv2  # noqa: F401
