"""Runs on several loops of one process, and others that write between: each receipt in its place."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from scripted import COMPLETED, STARTED, log, trainer

from arkor.core.notes import CancelRequested, entry_of
from arkor.store.database import Busy
from arkor.store.journal import open_journal
from arkor.store.writer import open_writer
from arkor.testing.backend import ScriptedBackend

STEPS = 150


@pytest.fixture(autouse=True)
def project(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_receipts_of_several_loops_go_in_between_each_other_and_other_writers() -> None:
    calls: dict[str, list[int]] = {"one": [], "two": [], "three": []}
    over, waited = threading.Event(), threading.Event()

    def run(name: str) -> str:
        def on_log(ctx: Any) -> None:
            calls[name].append(ctx.step)

        made = trainer(backend, {"on_log": on_log}, name=name)
        assert made.wait_sync().succeeded
        return made.run_id or ""

    def write() -> None:
        while not over.is_set():
            try:
                with open_writer().transaction(durable=False, at_once=True):
                    pass
            except Busy:
                waited.set()

    with ScriptedBackend([STARTED, *map(log, range(STEPS)), COMPLETED]) as backend:
        other = threading.Thread(target=write)
        other.start()
        try:
            with ThreadPoolExecutor(len(calls)) as threads:
                ids = list(threads.map(run, calls))
        finally:
            over.set()
            other.join()
    journal = open_journal()
    assert waited.is_set()
    for run_id, steps in zip(ids, calls.values(), strict=True):
        assert steps == list(range(STEPS))
        assert journal.verify(run_id).ok
        assert journal.run(run_id).settled
        receipts = journal.notes(run_id, "arkor.callback.completed")
        signed = [json.loads(each.data)["record"] for each in receipts]
        assert len(signed) == STEPS + 1
        assert signed == sorted(set(signed))


def test_a_wish_to_cancel_of_somebody_else_is_heeded_by_a_receipt() -> None:
    def on_log(ctx: Any) -> None:
        if ctx.step == 0:
            run_id = made.run_id or ""
            entry = entry_of(CancelRequested("enough"))
            open_writer().append(run_id, [entry], epoch=None, durable=False)

    with ScriptedBackend([STARTED, log(0), log(1), COMPLETED]) as backend:
        made = trainer(backend, {"on_log": on_log})
        assert made.wait_sync().succeeded
    state = open_journal().run(made.run_id or "")
    assert state.cancel_requested
    assert state.settled
    assert open_journal().verify(made.run_id or "").ok
