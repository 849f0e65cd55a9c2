"""The training worker as a process: it trains, is killed, goes on, is cancelled, refuses."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TRIAGE = ROOT / "arkor/backend/data/triage/train.jsonl"
COMMAND = [sys.executable, "-m", "arkor.backend.train"]
SHORT = {
    "maxSteps": 14,
    "learningRate": 0.01,
    "batchSize": 4,
    "loggingSteps": 3,
    "saveSteps": 4,
    "evalSteps": 5,
    "datasetSplit": {"eval": 8},
}

Event = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """A job's folder below a backend's folder that holds the triage data."""

    dir: Path

    @classmethod
    def make(cls, home: Path, config: Mapping[str, Any] = SHORT, **more: Any) -> "Job":
        data = TRIAGE.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        uploaded = home / "datasets" / f"{digest}.jsonl"
        uploaded.parent.mkdir(parents=True, exist_ok=True)
        uploaded.write_bytes(data)
        folder = home / "jobs" / "job"
        folder.mkdir(parents=True)
        source = {"type": "file", "sha256": digest, "name": "train.jsonl"}
        whole = {"model": "arkor/tiny", "datasetSource": source, **config, **more}
        job = {"id": "job", "name": "triage", "home": str(home), "config": whole}
        (folder / "job.json").write_text(json.dumps(job))
        return cls(folder)

    @contextmanager
    def process(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        with (
            (self.dir / "trainer.log").open("a") as log,
            subprocess.Popen(
                [*COMMAND, str(self.dir), *options],
                cwd=ROOT,
                env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(self.dir)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def run(self) -> list[Event]:
        """All events of a run that is left alone; its exit status is 0."""
        with self.process() as process:
            assert process.stdout is not None
            events = [json.loads(line) for line in process.stdout]
            assert process.wait() == 0, (self.dir / "trainer.log").read_text()
        return events

    def hit(self, step: int, sign: signal.Signals) -> tuple[list[Event], int]:
        """The events of a run that gets `sign` when it reports `step`, and its exit status."""
        events = []
        with self.process() as process:
            assert process.stdout is not None
            for line in process.stdout:
                events.append(json.loads(line))
                if events[-1]["type"] == "training.log" and events[-1]["step"] == step:
                    process.send_signal(sign)
            return events, process.wait()

    def failure(self) -> str:
        """The sentence of a run that fails before it trains."""
        events = self.run()
        assert [event["type"] for event in events] == ["training.failed"]
        sentence: str = events[0]["error"]
        assert "Traceback" not in sentence
        assert "\n" not in sentence
        return sentence


def curve(events: list[Event]) -> dict[int, tuple[Any, ...]]:
    """What was learned at each reported step; speeds apart, which differ from run to run."""
    figures = ("loss", "evalLoss", "learningRate", "gradNorm", "tokenAccuracy", "epoch")
    return {
        event["step"]: tuple(event.get(figure) for figure in figures)
        for event in events
        if event["type"] == "training.log"
    }


def digest(events: list[Event]) -> str:
    assert events[-1]["type"] == "training.completed"
    found: str = events[-1]["artifacts"][0]["sha256"]
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Job, list[Event]]:
    """A run that nobody disturbed."""
    job = Job.make(tmp_path_factory.mktemp("whole"))
    return job, job.run()


@pytest.mark.training
def test_a_run_tells_its_start_its_figures_its_checkpoints_and_its_end(
    whole: tuple[Job, list[Event]],
) -> None:
    job, events = whole
    said = [(event["type"], event.get("step")) for event in events]
    assert said == [
        ("training.started", None),
        ("training.log", 1),
        ("training.log", 3),
        ("checkpoint.saved", 4),
        ("training.log", 5),
        ("training.log", 6),
        ("checkpoint.saved", 8),
        ("training.log", 9),
        ("training.log", 10),
        ("training.log", 12),
        ("checkpoint.saved", 12),
        ("training.log", 14),
        ("checkpoint.saved", 14),
        ("training.completed", None),
    ]
    started, completed = events[0]["metadata"], events[-1]
    assert (started["totalSteps"], started["samples"], started["evalSamples"]) == (14, 392, 8)
    figures = curve(events)
    assert figures[14][0] < figures[1][0] / 2
    assert figures[5][0] is None, "step 5 only evaluates"
    assert figures[10][1] < figures[5][1]
    assert completed["metrics"]["loss"] == figures[14][0]
    assert completed["metrics"]["evalLoss"] == figures[14][1]
    kinds = [(each["kind"], each["pathname"]) for each in completed["artifacts"]]
    assert kinds[:2] == [("adapter", "adapter"), ("checkpoint", "checkpoint-4")]
    weights = (job.dir / "adapter" / "adapter_model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == digest(events)


@pytest.mark.training
def test_after_a_kill_it_goes_on_from_its_checkpoint_with_identical_losses(
    whole: tuple[Job, list[Event]], tmp_path: Path
) -> None:
    _, undisturbed = whole
    job = Job.make(tmp_path)
    killed, status = job.hit(9, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert "training.completed" not in {event["type"] for event in killed}
    # A kill in the middle of a save leaves a folder without its last file.
    torn = job.dir / "checkpoint-13"
    shutil.copytree(job.dir / "checkpoint-8", torn)
    (torn / "trainer_state.json").unlink()
    resumed = job.run()
    assert "checkpoint-8" in (job.dir / "events.jsonl").read_text()
    assert not torn.exists()
    assert curve(resumed) == curve(undisturbed)
    assert digest(resumed) == digest(undisturbed)
    assert [event["type"] for event in resumed] == [event["type"] for event in undisturbed]


@pytest.mark.training
def test_sigterm_saves_and_ends_and_the_run_can_go_on(
    whole: tuple[Job, list[Event]], tmp_path: Path
) -> None:
    _, undisturbed = whole
    job = Job.make(tmp_path)
    events, status = job.hit(5, signal.SIGTERM)
    assert status == 0
    saved, cancelled = events[-2:]
    assert saved["type"] == "checkpoint.saved"
    assert cancelled == {"type": "cancelled", "step": saved["step"]}
    assert saved["step"] < 14
    resumed = job.run()
    assert curve(resumed) == curve(undisturbed)
    assert digest(resumed) == digest(undisturbed)


@pytest.mark.training
def test_a_worker_killed_before_its_last_word_says_it_without_another_step(
    whole: tuple[Job, list[Event]], tmp_path: Path
) -> None:
    job, events = whole
    late = Job(tmp_path / "late")
    shutil.copytree(job.dir, late.dir)
    shutil.rmtree(late.dir / "adapter")
    lines = (late.dir / "events.jsonl").read_text().splitlines(keepends=True)
    # The kill may also tear the line that is being written.
    (late.dir / "events.jsonl").write_text("".join(lines[:-1]) + lines[-1][:20])
    again = late.run()
    assert curve(again) == curve(events)
    assert digest(again) == digest(events)
    assert again[-1]["metrics"] | {"seconds": 0} == events[-1]["metrics"] | {"seconds": 0}


@pytest.mark.training
def test_a_finished_job_only_repeats_what_it_said(whole: tuple[Job, list[Event]]) -> None:
    job, events = whole
    assert job.run() == events


@pytest.mark.training
def test_dry_run_takes_fifty_rows_and_ten_steps(tmp_path: Path) -> None:
    config = {"dryRun": True, "maxSteps": 500, "batchSize": 2, "trainOnResponsesOnly": False}
    events = Job.make(tmp_path, config, optim="adafactor", lrSchedulerType="cosine").run()
    started = events[0]["metadata"]
    assert (started["totalSteps"], started["samples"]) == (10, 50)
    assert events[-1]["type"] == "training.completed"


@pytest.mark.training
def test_a_model_folder_that_holds_no_model_is_named(tmp_path: Path) -> None:
    empty = tmp_path / "models" / "mine"
    empty.mkdir(parents=True)
    (empty / "config.json").write_text("{}")
    assert "'mine'" in Job.make(tmp_path, model="mine").failure()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("maxStep", 3, "maxStep is not an option"),
        ("maxSteps", 0, "maxSteps must be a whole number of at least 1, not 0"),
        ("optim", "adamx", "optim must be one of adamw_torch"),
        ("lrSchedulerType", "square", "lrSchedulerType must be one of linear, cosine"),
        ("datasetFormat", "xml", "datasetFormat must be one of chatml"),
        ("datasetFormat", "alpaca", "row 1 of the dataset does not fit datasetFormat 'alpaca'"),
        ("datasetSplit", "test", "a file has only the split 'train'"),
        ("model", "/no/such/model", "no model folder with a config.json at /no/such/model"),
        ("datasetSource", {"type": "file", "sha256": "0" * 64}, "has no dataset 000000000000"),
        ("datasetSource", {"type": "blob", "url": "http://x/y"}, "must be an https:// address"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(
    option: str, value: Any, said: str, tmp_path: Path
) -> None:
    assert said in Job.make(tmp_path, **{option: value}).failure()


@pytest.mark.parametrize("saved", [None, 4])
def test_a_full_disk_is_named_with_what_can_be_done(tmp_path: Path, saved: int | None) -> None:
    job = Job.make(tmp_path)
    (job.dir / "events.jsonl").write_text('{"type": "training.started"}\n')
    (job.dir / "events.partial").symlink_to("/dev/full")
    if saved:
        (job.dir / f"checkpoint-{saved}").mkdir()
        state = json.dumps({"global_step": saved})
        (job.dir / f"checkpoint-{saved}" / "trainer_state.json").write_text(state)
    sentence = job.failure()
    assert "the disk is full; free some space and submit the job anew" in sentence
    assert ("kept at jobs/job/checkpoint-4" in sentence) == bool(saved)


def test_the_end_of_its_parent_ends_the_worker(tmp_path: Path) -> None:
    with Job.make(tmp_path).process("--watch-stdin") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=30) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
