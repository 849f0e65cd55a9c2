"""A run in a process of its own, which kills itself at a named point.

`python child.py URL CALLS [POINT [NTH]]`: each callback's call is a line in the file CALLS. A
point is `call` or `return`, and a function: `return:Submission.ensure`; the process dies at the
NTH time that it is passed. Nothing of Arkor is changed: a trace function watches it go by.
"""

import json
import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from arkor import AnonymousCredentials, TrainerCallbacks, TrainerOptions, create_trainer


def die_at(point: str, nth: int) -> None:
    when, _, function = point.partition(":")
    passed = 0

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal passed
        if event == when and frame.f_code.co_qualname == function:
            passed += 1
            if passed == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(watch)
    sys.setprofile(watch)


def main(url: str, calls: str, point: str | None = None, nth: str = "1") -> None:
    def note(ctx: Any) -> None:
        line = {"seq": ctx.event.seq, "type": ctx.event.type, "attempt": ctx.attempt}
        with open(calls, "a") as file:
            file.write(json.dumps(line) + "\n")

    trainer = create_trainer(
        name="crash",
        model="owner/model",
        dataset={"type": "huggingface", "name": "owner/data"},
        callbacks=TrainerCallbacks(on_log=note, on_checkpoint=note, on_completed=note),
        options=TrainerOptions(
            base_url=url,
            credentials=AnonymousCredentials(
                token="a-token-of-this-test-0123", anonymous_id="anon-1", org_slug="anon-org"
            ),
            reconnect_delay=0.02,
        ),
    )
    if point:
        die_at(point, int(nth))
    started = trainer.start_sync()
    result = trainer.wait_sync()
    print(json.dumps({"resumed": started.resumed, "status": result.status}))


if __name__ == "__main__":
    main(*sys.argv[1:])
