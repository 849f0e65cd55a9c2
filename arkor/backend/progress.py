"""A run's progress as a job's events, without the `jobId` and `timestamp` that they get later."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from arkor.backend.checkpoints import checkpoint_saved
from arkor.backend.plan import Plan

__all__ = ["Reporter", "Send"]

Send = Callable[[Mapping[str, Any]], None]
"""Takes one event."""


class Reporter(TrainerCallback):  # type: ignore[misc]  # transformers is untyped
    """Tells a run's progress as events, and ends it after the step in which it was stopped.

    Trainer's log history, which every checkpoint keeps, holds the steps since the last report
    and that report: so a resumed run reports the same windows, and no history grows.
    """

    def __init__(
        self,
        plan: Plan,
        jobdir: Path,
        send: Send,
        stop: threading.Event,
        *,
        samples: int,
        eval_samples: int,
    ) -> None:
        self._plan = plan
        self._jobdir = jobdir
        self._send = send
        self._stop = stop
        self._samples = samples
        self._eval_samples = eval_samples
        self._began = (time.monotonic(), 0)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Send `training.started`."""
        self._began = (time.monotonic(), state.global_step)
        weights = list(kwargs["model"].parameters())
        self._send(
            {
                "type": "training.started",
                "metadata": {
                    "totalSteps": state.max_steps,
                    "samples": self._samples,
                    "evalSamples": self._eval_samples,
                    "epochs": state.num_train_epochs,
                    "device": str(args.device),
                    "parameters": sum(each.numel() for each in weights),
                    "trainableParameters": sum(e.numel() for e in weights if e.requires_grad),
                    "seed": args.seed,
                },
            }
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save and leave if the run is to stop."""
        if self._stop.is_set() and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Send `training.log` when a step closes a window or evaluates; never two for one step."""
        if control.should_evaluate and "loss" in state.log_history[-1]:
            return
        if not {"loss", "eval_loss"} & state.log_history[-1].keys():
            state.log_history.pop()
            return
        steps = [entry for entry in state.log_history if "loss" in entry]
        evaluated: dict[str, Any] = next((e for e in state.log_history if "eval_loss" in e), {})
        closes = self._plan.reports(state.global_step)
        if not closes and not evaluated:
            return
        report = {
            "type": "training.log",
            "step": state.global_step,
            **(self._figures(steps) if closes and steps else {}),
            **({"evalLoss": evaluated["eval_loss"]} if evaluated else {}),
            "epoch": state.epoch,
            "samplesPerSecond": self._rate(args, state),
        }
        self._send(report)
        last = {**_last_report(state), **report}
        state.log_history[:] = [{"report": last}, *([] if closes else steps)]

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Send `checkpoint.saved`."""
        self._send(checkpoint_saved(state.global_step, self._jobdir))

    def metrics(self, state: Any) -> dict[str, Any]:
        """The run's last figures; how long it took counts this process only."""
        last = _last_report(state)
        return {
            "steps": state.global_step,
            "epoch": state.epoch,
            "loss": last.get("loss"),
            "evalLoss": last.get("evalLoss"),
            "seconds": round(time.monotonic() - self._began[0], 3),
        }

    def _figures(self, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        accuracies = [s["mean_token_accuracy"] for s in steps if "mean_token_accuracy" in s]
        return {
            "loss": sum(entry["loss"] for entry in steps) / len(steps),
            "learningRate": steps[-1].get("learning_rate"),
            "gradNorm": steps[-1].get("grad_norm"),
            "tokenAccuracy": sum(accuracies) / len(accuracies) if accuracies else None,
        }

    def _rate(self, args: Any, state: Any) -> float | None:
        began, first = self._began
        seconds = time.monotonic() - began
        done = (state.global_step - first) * args.train_batch_size
        return round(done / seconds, 2) if seconds else None


def _last_report(state: Any) -> dict[str, Any]:
    found: dict[str, Any] = next((e["report"] for e in state.log_history if "report" in e), {})
    return found
