"""A street drawn from scratch with numpy and OpenCV: pictures, exact labels and sound from the same geometry.

The world is in metres, x to the right, y up, z down the street. Colours are RGB, 0..255.
"""
