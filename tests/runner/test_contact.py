"""Whether events still come: a pure reading of records."""

import json

from arkor.core.notes import Resumed, StreamClosed, StreamOpened, entry_of
from arkor.core.record import GENESIS, Entry, chain
from arkor.runner.contact import Contact, listen
from arkor.runner.wording import sparkline

AT = 1_795_514_400.0
EVENT = Entry("stream", "training.log", json.dumps({"type": "training.log", "step": 1}))
BROKEN = entry_of(StreamClosed("it broke \x1b[2Joff", failures=2))


def contact_of(*entries: Entry) -> Contact:
    contact = Contact()
    for record in chain(
        "RUN",
        entries,
        after=0,
        prev_digest=GENESIS,
        recorded_at="2026-11-24T10:00:00.000000Z",
    ):
        contact = listen(contact, record)
    return contact


def test_the_age_of_the_last_event_is_said_when_it_is_worth_a_word() -> None:
    assert contact_of().age(AT) == ""
    contact = contact_of(EVENT, entry_of(StreamClosed("the end")))
    assert contact.heard == AT
    assert contact.age(AT + 4) == ""
    assert contact.age(AT + 75) == "last event 1m 15s ago"


def test_a_stream_that_is_gone_is_said_until_it_is_there_again() -> None:
    assert contact_of(entry_of(StreamClosed("the backend closed it"))).trouble == ""
    words = r"reconnecting to the backend (attempt 2): it broke \x1b[2Joff"
    assert contact_of(EVENT, BROKEN).trouble == words
    for again in (EVENT, entry_of(StreamOpened()), entry_of(Resumed(epoch=2, clean=False))):
        assert contact_of(EVENT, BROKEN, again).trouble == ""


def test_a_curve_is_a_word() -> None:
    assert sparkline([4, 3, 2, 1]) == "█▆▃▁"
    assert sparkline([1, float("nan"), 2, float("inf")]) == "▁█"
    assert sparkline([2.0, 2.0, 2.0]) == "▁▁▁"
    assert sparkline([1.0]) == sparkline([]) == ""
