"""Aborting a local wait: once, from any thread, told to whoever listens."""

import threading

import pytest

from arkor.errors import AbortError
from arkor.runner.abort import AbortController


def test_a_signal_says_whether_and_why() -> None:
    controller = AbortController()
    signal = controller.signal
    assert (signal.aborted, signal.reason) == (False, None)
    signal.throw_if_aborted()
    reason = object()
    controller.abort(reason)
    assert signal.aborted
    assert signal.reason is reason
    with pytest.raises(AbortError) as caught:
        signal.throw_if_aborted()
    assert caught.value.reason is reason


def test_only_the_first_abort_counts() -> None:
    controller, calls = AbortController(), []
    controller.signal.subscribe(lambda: calls.append(1))
    controller.abort("first")
    controller.abort("second")
    assert (controller.signal.reason, calls) == ("first", [1])


def test_a_reason_may_be_missing_or_falsy() -> None:
    for reason in (None, 0, ""):
        controller = AbortController()
        controller.abort(reason)
        assert (controller.signal.aborted, controller.signal.reason) == (True, reason)


def test_who_subscribes_late_is_told_at_once() -> None:
    controller, calls = AbortController(), []
    controller.abort()
    take_off = controller.signal.subscribe(lambda: calls.append(1))
    take_off()
    assert calls == [1]


def test_who_took_itself_off_is_not_told() -> None:
    controller, calls = AbortController(), []
    take_off = controller.signal.subscribe(lambda: calls.append("off"))
    controller.signal.subscribe(lambda: calls.append("on"))
    take_off()
    take_off()
    controller.abort()
    take_off()
    assert calls == ["on"]


def test_a_listener_may_ask_the_signal_and_take_itself_off() -> None:
    controller, seen = AbortController(), []

    def listener() -> None:
        seen.append(controller.signal.reason)
        take_off()

    take_off = controller.signal.subscribe(listener)
    controller.abort("why")
    assert seen == ["why"]


def test_each_listener_is_told_exactly_once_whatever_the_threads_do() -> None:
    for _ in range(50):
        told, reason = race(listeners=8, aborters=4)
        assert told == [1] * 8
        assert reason in range(4)


def race(listeners: int, aborters: int) -> tuple[list[int], object]:
    controller, told = AbortController(), [0] * listeners
    start = threading.Barrier(listeners + aborters)

    def listen(place: int) -> None:
        def hear() -> None:
            told[place] += 1

        start.wait(10)
        controller.signal.subscribe(hear)

    def abort(place: int) -> None:
        start.wait(10)
        controller.abort(place)

    threads = [threading.Thread(target=listen, args=(place,)) for place in range(listeners)]
    threads += [threading.Thread(target=abort, args=(place,)) for place in range(aborters)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return told, controller.signal.reason
