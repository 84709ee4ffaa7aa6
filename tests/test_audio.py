"""Audio on its way: what is held, what goes, and where it stands when the pictures are moved."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from vidseg.audio import AUDIO_RATE, AudioBlock, AudioMover, AudioQueue


def audio(seconds: float, length: float = 1.0) -> AudioBlock:
    return AudioBlock(np.zeros((round(length * AUDIO_RATE), 2), np.int16), Fraction(seconds))


def times(pieces) -> list[float]:
    return [float(piece.seconds) for piece in pieces]


def test_what_begins_before_a_time_is_given_out_once_and_in_order():
    queue = AudioQueue()
    for seconds in (0, 1, 2):
        queue.put(audio(seconds))
    assert times(queue.take(Fraction(2))) == [0, 1] and times(queue.take(Fraction(2))) == []
    assert times(queue.take()) == [2] and queue.lost_seconds == 0


def test_what_nobody_takes_goes_from_the_oldest_on_and_is_counted():
    queue = AudioQueue(longest=3)
    for seconds in range(100):
        queue.put(audio(seconds))
    assert times(queue.take()) == [97, 98, 99] and queue.lost_seconds == 97
    queue.put(audio(0))
    assert times(queue.take()) == [0], "what was taken takes no room"


def test_audio_too_far_ahead_to_be_true_does_not_keep_back_what_follows():
    queue = AudioQueue(longest=3)
    for seconds in (1000, 1):
        queue.put(audio(seconds))
    assert times(queue.take(Fraction(2))) == [] and queue.lost_seconds == 1
    assert times(queue.take(Fraction(2))) == [1]


def test_audio_moves_as_the_picture_beside_it_does():
    mover = AudioMover()
    assert times(mover.moved([audio(9.9), audio(10.0)], Fraction(10), Fraction(-3))) == [6.9000000000000004, 7.0]
    assert times(mover.moved([], Fraction(11), Fraction(-3))) == []


def test_where_the_clock_jumps_each_piece_goes_with_the_nearer_picture():
    mover = AudioMover()
    mover.moved([], Fraction(50), Fraction(1))
    # the count starts anew: 50.1 follows 50, and 0.1 goes with the picture at 0.2
    assert times(mover.moved([audio(50.125), audio(0.125)], Fraction(1, 4), Fraction(51))) == [51.125, 51.125]
