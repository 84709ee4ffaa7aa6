"""Draws what was found: arrays in, array out, and the live window."""
