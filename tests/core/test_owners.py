"""Who had a run, read from its log; and what changed in the code from one to the next."""

from logs import JOB, accepted, log_of, wish

from arkor.core.fold import fold_all
from arkor.core.notes import Attached, Resumed
from arkor.core.owners import code_changes, owners_in

OLDER = {"digests": {"a.py": "00", "b.py": "01"}, "python": "3.12.3"}


def with_callbacks(python: str = "3.12.4", **digests: str) -> dict[str, object]:
    functions = {name: {"function": "x", "digest": digest} for name, digest in digests.items()}
    return {"python": python, "callbacks": [{"name": "main", "functions": functions}]}


def test_each_owner_is_told_in_order() -> None:
    records = accepted(
        Resumed(2, False, ("main",), {"pid": 7}),
        Resumed(3, True, ("main",), {"pid": 8}, without_code=True),
    )
    owners = list(owners_in(records))
    assert [(each.seq, each.how, each.clean) for each in owners] == [
        (1, "submitted", True),
        (3, "resumed", False),
        (4, "adopted", True),
    ]
    assert [each.provenance.get("pid") for each in owners] == [None, 7, 8]
    assert owners[1].consumers == ("main",)


def test_an_attached_run_has_an_owner_from_its_first_record() -> None:
    note = Attached(JOB, "u", "o", "p", "/r", ("main",), {"pid": 7})
    (owner,) = owners_in(log_of(note))
    assert (owner.seq, owner.how, owner.provenance["pid"]) == (1, "attached", 7)


def test_who_only_names_the_job_brings_no_code_to_resume() -> None:
    taken = Resumed(2, True, ("main",), {"entry": "a.py", "pid": 7})
    named = Resumed(3, True, ("main",), {"entry": None, "pid": 8}, without_code=True)
    assert fold_all(accepted(taken, named)).provenance == taken.provenance
    assert fold_all(accepted(named, taken)).provenance == taken.provenance


def test_changed_modules_and_callbacks_are_named() -> None:
    newer = {"digests": {"a.py": "02", "c.py": "03"}, "python": "3.12.3"}
    assert code_changes(OLDER, newer) == ["a.py", "b.py", "c.py"]
    assert code_changes(OLDER, OLDER) == []

    before, after = with_callbacks(on_log="1", on_event="2"), with_callbacks(on_log="3")
    assert code_changes(before, after) == ["main.on_event", "main.on_log"]
    assert code_changes(before, before) == []


def test_what_cannot_be_compared_is_no_change() -> None:
    older, newer = with_callbacks(on_log="1"), with_callbacks("3.13.0", on_log="2")
    assert code_changes(older, newer) == []
    assert code_changes({}, OLDER) == []
    assert code_changes({"digests": 7, "callbacks": [1, {"functions": 2}]}, OLDER) == []


def test_a_log_without_provenance_still_has_owners() -> None:
    (owner,) = owners_in(log_of(wish("main")))
    assert owner.provenance == {}
