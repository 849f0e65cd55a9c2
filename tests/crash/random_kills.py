"""kill -9 at random instants of a long run with three consumers, each time resumed by the next."""

import random
import subprocess
from pathlib import Path

from checker import Verdict
from scene import Scene, kill, scene, story

CONSUMERS = 3


def random_kills(folder: Path, *, kills: int, seed: int, events: int = 2000) -> Verdict:
    """Kill the same script `kills` times, run it to its end, and judge."""
    dice = random.Random(seed)
    with scene(folder, story(events, checkpoint_every=20, pause=0.001)) as here:
        left = kills
        while left:
            with here.start() as child:
                # Not to its end: the same script would then rightly begin another run.
                left_over = calls_left(here, events) - events // 5
                if dice.random() < 0.25 and left_over > events:
                    wait(child, dice.uniform(0, 0.6))  # while it starts, mostly
                else:
                    share = max(0, left_over) / (left + 1)
                    child.stdout.read(int(dice.uniform(0, 2 * share)) or 1)
                    wait(child, dice.uniform(0, 0.004))
                assert kill(child), f"it ended before it was killed: {here.stderr()}"
            left -= 1
        return here.finish()


def calls_left(here: Scene, events: int) -> int:
    """How many calls the run has still to make, about."""
    made = {tuple(line["call"].values()) for line in here.lines() if "call" in line}
    return max(0, CONSUMERS * events - len(made))


def wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return
