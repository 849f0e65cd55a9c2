"""A training process that trains nothing: the same protocol, its behaviour told by the config.

`steps` and `pause` (seconds per step) shape it; `then` is how it ends: `complete` (the default),
`fail`, `die` (exit code 3), `nonsense`, `silent` (exit code 0 without a word). With `deaf` it
ignores SIGTERM, with `unsaving` it dies of it.
With `gate`, a path, it waits at each step until that file holds at least the step's number.
"""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path


def say(**event: object) -> None:
    print(json.dumps(event), flush=True)


def watch_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def main() -> None:
    job = Path(sys.argv[-1])
    order = json.loads((job / "job.json").read_text())
    config = order["config"]
    ended = threading.Event()
    if config.get("deaf"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif not config.get("unsaving"):
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
    threading.Thread(target=watch_stdin, daemon=True).start()
    (job / "seen.json").write_text(json.dumps(order))
    with (job / "pids").open("a") as pids:
        pids.write(f"{os.getpid()}\n")

    done = job / "checkpoint"
    start = int(done.read_text()) if done.exists() else 0
    say(type="training.started", metadata={"totalSteps": config.get("steps", 3)})
    for step in range(start + 1, config.get("steps", 3) + 1):
        if "gate" in config:
            while not ended.is_set() and not passed(Path(config["gate"]), step):
                time.sleep(0.005)
        if ended.wait(config.get("pause", 0)):
            done.write_text(str(step - 1))
            say(type="cancelled", step=step - 1)
            return
        say(type="training.log", step=step, loss=1 / step, learningRate=float("nan"))
        if step % 2 == 0:
            say(type="training.log", step=step, evalLoss=2 / step)
            (job / f"checkpoint-{step}").mkdir(exist_ok=True)
            state = json.dumps({"global_step": step})
            (job / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
            done.write_text(str(step))
            say(type="checkpoint.saved", step=step, artifacts=[])
    end(config.get("then"), job)


def passed(gate: Path, step: int) -> bool:
    return gate.exists() and int(gate.read_text() or 0) >= step


def end(how: str | None, job: Path) -> None:
    if how == "fail":
        say(type="training.failed", error="`optim`: there is no 'adamm'; try 'adamw_torch'")
    elif how == "die":
        print("Traceback: it broke", file=sys.stderr)
        sys.exit(3)
    elif how == "nonsense":
        print("this is not JSON", flush=True)
        time.sleep(600)
    elif how != "silent":
        (job / "adapter").mkdir(exist_ok=True)
        say(type="training.completed", metrics={"loss": 0.1}, artifacts=[{"pathname": "adapter"}])


main()
