"""Real-time video segmentation: what is where, in every frame."""

__version__ = "0.1.0"
