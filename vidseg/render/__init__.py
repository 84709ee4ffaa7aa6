"""Draws segmentations: arrays in, array out, and the live window."""
