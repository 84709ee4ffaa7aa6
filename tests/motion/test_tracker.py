import numpy as np

from tests.motion.moving import frame_of, texture, window
from vidseg.interfaces import MotionTracker
from vidseg.motion.tracker import FlowTracker


def test_the_first_frame_has_no_motion_and_the_next_has_its_own():
    tracker: MotionTracker = FlowTracker()
    assert tracker.follow(frame_of(window(texture(1), 30, 30), 0)) is None
    step = tracker.follow(frame_of(window(texture(1), 34, 30), 1))
    flow, residual = step.on_grid((27, 48))
    assert flow.shape == (27, 48, 2) and residual.shape == (27, 48)
    assert np.abs(np.median(flow, axis=(0, 1)) - [1, 0]).max() < 0.1  # 4 pixels of 192 are 1 cell of 48
    assert np.median(residual) < 3 and abs(step.seconds - 1 / 30) < 1e-9


def test_a_cut_is_seen_and_what_follows_is_followed_again():
    tracker = FlowTracker()
    images = [window(texture(1), 30 + i, 30) for i in range(3)] + [window(texture(2), 30 + i, 30) for i in range(3)]
    found = [tracker.follow(frame_of(image, i)) is not None for i, image in enumerate(images)]
    assert found == [False, True, True, False, True, True]


def test_shaking_exposure_and_noise_are_no_cut():
    rng = np.random.default_rng(0)
    tracker, picture = FlowTracker(), texture(1)
    for index in range(12):
        image = window(picture, 40 + rng.uniform(-6, 6), 40 + rng.uniform(-6, 6)).astype(float)
        image = image * rng.uniform(0.6, 1.1) + rng.normal(0, 10, image.shape)
        step = tracker.follow(frame_of(image.clip(0, 255).astype(np.uint8), index))
        assert index == 0 or step is not None


def test_another_size_a_jump_back_and_a_reset_start_anew():
    tracker, image = FlowTracker(), window(texture(1), 30, 30)
    tracker.follow(frame_of(image, 5))
    assert tracker.follow(frame_of(image[:100], 6)) is None
    assert tracker.follow(frame_of(image[:100], 7)) is not None
    assert tracker.follow(frame_of(image[:100], 7)) is None, "time stood still"
    assert tracker.follow(frame_of(image[:100], 2)) is None
    assert tracker.follow(frame_of(image[:100], 3)) is not None
    tracker.reset()
    assert tracker.follow(frame_of(image[:100], 4)) is None
