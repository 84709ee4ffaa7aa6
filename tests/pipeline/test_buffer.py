import threading

import pytest

from vidseg.pipeline.buffer import Buffer, Closed


def run(target):
    """Start a thread and give back (thread, list that receives its result or exception)."""
    out = []

    def call():
        try:
            out.append(target())
        except BaseException as error:
            out.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread, out


def test_items_come_out_in_order_and_closed_comes_last():
    buffer = Buffer(3)
    for item in "abc":
        buffer.put(item)
    buffer.close()
    assert [buffer.get() for _ in range(3)] == ["a", "b", "c"]
    with pytest.raises(Closed):
        buffer.get()


def test_full_buffer_makes_the_producer_wait_until_an_item_is_taken():
    buffer = Buffer(1)
    buffer.put(1)
    thread, _ = run(lambda: buffer.put(2))
    thread.join(0.05)
    assert thread.is_alive()
    assert buffer.get() == 1
    thread.join(5)
    assert not thread.is_alive() and buffer.get() == 2


def test_drop_oldest_keeps_the_newest_and_counts_the_rest():
    buffer = Buffer(2, drop_oldest=True)
    for item in range(5):
        buffer.put(item)
    assert (buffer.get(), buffer.get(), buffer.dropped) == (3, 4, 3)


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_end_wakes_a_waiting_producer(end):
    buffer = Buffer(1)
    buffer.put(1)
    thread, out = run(lambda: buffer.put(2))
    getattr(buffer, end)()
    thread.join(5)
    assert isinstance(out[0], Closed)


@pytest.mark.parametrize("end", ["close", "cancel"])
def test_end_wakes_a_waiting_consumer(end):
    buffer = Buffer(1)
    thread, out = run(buffer.get)
    getattr(buffer, end)()
    thread.join(5)
    assert isinstance(out[0], Closed)


def test_cancel_throws_away_what_close_would_still_hand_over():
    closed, cancelled = Buffer(2), Buffer(2)
    for buffer in (closed, cancelled):
        buffer.put("x")
    closed.close()
    cancelled.cancel()
    assert closed.get() == "x"
    with pytest.raises(Closed):
        cancelled.get()


def test_get_with_timeout_says_so_when_nothing_comes():
    with pytest.raises(TimeoutError):
        Buffer(1).get(timeout=0)


def test_put_after_close_is_refused_even_when_dropping():
    buffer = Buffer(1, drop_oldest=True)
    buffer.close()
    with pytest.raises(Closed):
        buffer.put(1)
    assert buffer.dropped == 0


def test_capacity_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Buffer(0)
