"""A recorded run gives its callbacks the same, anywhere; scripts/soak replays it 200 times."""

from pathlib import Path

from replayed import SETTINGS, traces
from scene import story

from arkor.testing import ScriptedBackend


def test_replays_are_identical(tmp_path: Path) -> None:
    with ScriptedBackend(story(60, checkpoint_every=6), chat="Ja, grüß dich!") as backend:
        (live,) = traces(tmp_path / "store", "record", backend.url)
    found = [
        trace
        for setting in SETTINGS[:4]
        for trace in traces(tmp_path / "store", "replay", "5", **setting)
    ]
    assert len(found) == 20
    assert set(found) == {live}
