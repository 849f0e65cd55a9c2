"""How long a run is, and at which steps it reports, evaluates and saves."""

import math
from dataclasses import dataclass

from arkor.backend.options import DRY_RUN_STEPS, Options

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """All in optimizer steps; an interval of 0 means never."""

    steps: int
    warmup: int
    log_every: int
    save_every: int
    eval_every: int

    @classmethod
    def of(cls, options: Options, samples: int, *, evaluates: bool) -> "Plan":
        """The plan for `samples` training samples. `maxSteps` goes before `numTrainEpochs`.

        Where `options` leave an interval open, a run reports every 10 steps or ten times, saves
        every 500 steps or five times, and evaluates when it saves.
        """
        a_pass = math.ceil(samples / options.batch_size)
        steps = options.max_steps or max(1, math.ceil(a_pass * options.epochs))
        if options.dry_run:
            steps = min(steps, DRY_RUN_STEPS)
        save = _interval(options.save_every, steps, default=min(500, math.ceil(steps / 5)))
        return cls(
            steps=steps,
            warmup=min(_interval(options.warmup, steps, default=0), steps),
            log_every=_interval(options.log_every, steps, default=min(10, math.ceil(steps / 10))),
            save_every=save,
            eval_every=_interval(options.eval_every, steps, default=save) if evaluates else 0,
        )

    def reports(self, step: int) -> bool:
        """Whether `step` ends a window of training figures; the first and the last always do."""
        if step in (1, self.steps):
            return True
        return self.log_every > 0 and step % self.log_every == 0


def _interval(wanted: float | None, steps: int, *, default: int) -> int:
    if wanted is None:
        return default
    return math.ceil(wanted * steps) if wanted < 1 else int(wanted)
