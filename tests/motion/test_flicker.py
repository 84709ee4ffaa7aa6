import math

import numpy as np

from benchmarks.flicker import Alignment, changed_share, returns
from tests.motion.moving import texture, window


def alignment(rows, columns, visible):
    return Alignment(np.array(rows), np.array(columns), np.array(visible))


def test_changed_share_is_the_plain_loop():
    rng = np.random.default_rng(0)
    now, before = (rng.integers(0, 3, (20, 30), dtype=np.uint8) for _ in range(2))
    where = alignment(rng.integers(0, 20, (20, 30)), rng.integers(0, 30, (20, 30)), rng.random((20, 30)) < 0.8)
    changed = seen = 0
    for y in range(20):
        for x in range(30):
            if where.visible[y, x]:
                seen += 1
                changed += now[y, x] != before[where.rows[y, x], where.columns[y, x]]
    assert changed_share(now, before, where) == changed / seen


def test_a_cut_is_not_flicker():
    labels = np.zeros((48, 64), np.uint8)
    where = Alignment.of_images(window(texture(1), 10, 10, (48, 64)), window(texture(2), 10, 10, (48, 64)))
    assert where.visible.mean() < 0.3 and math.isnan(changed_share(labels, labels, where))


def test_labels_that_move_with_the_picture_do_not_flicker_and_others_do():
    now, before = window(texture(1), 30, 30), window(texture(1), 40, 30)  # moved right by 10
    where = Alignment.of_images(now, before)
    stripes = (np.arange(192)[None, :] // 20 % 2).repeat(108, axis=0).astype(np.uint8)
    assert not where.visible[:, :8].any() and where.visible[10:-10, 20:-10].mean() > 0.9
    assert changed_share(np.roll(stripes, 10, axis=1), stripes, where) < 0.03
    assert changed_share(stripes, stripes, where) > 0.4
    noise = np.roll(stripes, 10, axis=1) ^ (np.random.default_rng(0).random((108, 192)) < 0.25)
    assert 0.2 < changed_share(noise.astype(np.uint8), stripes, where) < 0.3


def test_occluded_is_where_back_and_there_do_not_meet():
    back = np.zeros((1, 3, 2), np.float32)
    back[0, :, 0] = (4, 4, 0.5)
    there = -back
    there[0, 1, 0] = 3
    assert returns(back, there).tolist() == [[True, False, True]]
