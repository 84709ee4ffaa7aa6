"""The card of a source that is away."""

import numpy as np
import pytest

from vidseg.render.offline_card import PLAIN_GREY, offline_card
from vidseg.render.text import _haloed

TEXT = "offline for 12 s, retrying"


@pytest.mark.parametrize("size_hw", [(360, 640), (1080, 1920), (640, 360), (48, 64)])
def test_the_card_is_the_picture_darkened_with_words_in_the_middle(size_hw):
    picture = np.full((*size_hw, 3), 200, np.uint8)
    before = picture.copy()
    card = offline_card(picture, TEXT)
    assert card.shape == picture.shape and card.dtype == np.uint8 and np.array_equal(picture, before)
    assert (card[0] == 70).all() and (card[-1] == 70).all(), "0.35 of the brightness away from the words"
    rows, columns = np.nonzero(card.max(axis=2) > 120)
    assert abs(rows.mean() / size_hw[0] - 0.5) < 0.1 and abs(columns.mean() / size_hw[1] - 0.5) < 0.1
    assert columns.min() > 0 and columns.max() < size_hw[1] - 1, "all of it fits"


def test_other_words_make_another_card():
    picture = np.zeros((120, 320, 3), np.uint8)
    assert not np.array_equal(offline_card(picture, TEXT), offline_card(picture, TEXT.replace("12", "13")))


def test_a_plain_card_holds_nothing_of_the_picture():
    noise = np.random.default_rng(1).integers(0, 255, (120, 320, 3), np.uint8)
    cards = [offline_card(picture, TEXT, plain=True) for picture in (noise, np.zeros_like(noise))]
    assert np.array_equal(*cards) and (cards[0][0] == PLAIN_GREY).all()


def test_cards_of_a_long_night_leave_nothing_in_memory():
    picture = np.zeros((120, 320, 3), np.uint8)
    before = _haloed.cache_info().currsize
    for second in range(50):
        offline_card(picture, f"offline for {second} s, retrying")
    assert _haloed.cache_info().currsize == before
