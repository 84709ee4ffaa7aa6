"""Shows one picture until told to quit; says on stdout what the keys asked for. Run by `test_window_on_screen`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.render.scenes import segmentation, street
from vidseg.render.options import RenderOptions
from vidseg.render.window import Window
from vidseg.render.window_state import Action, WindowStatus


def main() -> None:
    image = np.full((240, 320, 3), (200, 100, 50), dtype=np.uint8)
    with Window("vidseg test", RenderOptions(), screenshot_folder=Path(sys.argv[1])) as window:
        window.show(image, segmentation(street(240, 320)), WindowStatus(fps=25.0, frame_index=3))
        actions: list[Action] = []
        while Action.QUIT not in actions:
            actions = window.poll(20)
            for action in actions:
                print(action.name, flush=True)


if __name__ == "__main__":
    main()
