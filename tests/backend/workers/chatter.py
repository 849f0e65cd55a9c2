"""A chat process without a model: it says the last message's words, one at a time.

A word that begins with `!` is an order: `!die`, `!refuse`, `!break` (an error in the middle),
`!forever`, `!tool`, `!who` (says its pid, the model and the adapter).
"""

import json
import os
import queue
import sys
import threading
from typing import Any

requests: queue.Queue[dict[str, Any]] = queue.Queue()
cancelled: set[str] = set()


def say(**line: object) -> None:
    print(json.dumps(line), flush=True)


def read() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        if "cancel" in request:
            cancelled.add(request["cancel"])
            print(f"cancelled {request['cancel']}", file=sys.stderr, flush=True)
        else:
            requests.put(request)
    os._exit(0)


def answer(request: dict[str, Any]) -> None:
    asked, text = request["id"], ""
    words = request["messages"][-1]["content"].split()
    usage = {"prompt_tokens": 1, "completion_tokens": len(words), "total_tokens": 1 + len(words)}
    done: dict[str, Any] = {"finish_reason": "stop", "usage": usage}
    for word in words:
        if word == "!die":
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(7)
        if word == "!refuse":
            return say(id=asked, error={"status": 400, "code": "invalid_schema", "message": "no"})
        if word == "!break":
            return say(
                id=asked, error={"status": 422, "code": "constraint_not_met", "message": "no"}
            )
        if word == "!tool":
            call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            done |= {"finish_reason": "tool_calls", "tool_calls": [call]}
            continue
        while word == "!forever" and asked not in cancelled:
            say(id=asked, delta="on and ")
        if asked in cancelled:
            return None
        if word == "!who":
            word = json.dumps([os.getpid(), request["model"], request["adapter"]])
        say(id=asked, delta=word)
        text += word
    return say(id=asked, done={**done, "text": text})


threading.Thread(target=read, daemon=True).start()
while True:
    answer(requests.get())
