"""LoRA fine-tuning of one job with trl and PEFT, its progress told as events."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback, TrainerCallback, TrainerState, set_seed
from trl import SFTConfig, SFTTrainer

from arkor.backend.checkpoints import (
    ADAPTER,
    TRAINER_STATE,
    adapter_from,
    artifacts,
    checkpoint_saved,
    complete_checkpoints,
    new_folder,
)
from arkor.backend.encoding import Sample, encode
from arkor.backend.model import load_model, load_tokenizer, use_cores
from arkor.backend.options import SEED, Options
from arkor.backend.plan import Plan
from arkor.backend.rows import Lesson
from arkor.errors import ConfigError

__all__ = ["Lessons", "tune"]

Send = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Lessons:
    """What the job learns from, and what it is evaluated on (may be empty)."""

    train: Sequence[Lesson]
    evaluate: Sequence[Lesson]


def tune(
    options: Options,
    lessons: Lessons,
    *,
    found: str,
    jobdir: Path,
    send: Send,
    stop: threading.Event,
) -> None:
    """Train until the end or until `stop` is set, going on from the last whole checkpoint.

    `found` is the base model's folder or hub name. Leaves `checkpoint-N` and `adapter` in
    `jobdir`. `send` gets the events of the wire protocol (7.4) without `jobId` and `timestamp`,
    and `{"type": "cancelled"}` after a stop. Raises `ConfigError` for what cannot be trained.
    """
    set_seed(SEED)
    trainer, reporter = _build(options, lessons, found, jobdir, send, stop)
    past = complete_checkpoints(jobdir)
    reached = max(past, default=0)
    if stop.is_set() and reached < trainer.args.max_steps:
        send({"type": "cancelled", "step": reached})
        return
    if reached >= trainer.args.max_steps:
        # Trainer would take one step more.
        trainer.state = TrainerState.load_from_json(str(past[reached] / TRAINER_STATE))
        adapter_from(past[reached], jobdir)
    else:
        trainer.train(resume_from_checkpoint=str(past[reached]) if past else None)
        if trainer.state.global_step < trainer.args.max_steps:
            send({"type": "cancelled", "step": trainer.state.global_step})
            return
        _save_adapter(trainer, jobdir)
    send(
        {
            "type": "training.completed",
            "metrics": reporter.metrics(trainer.state),
            "artifacts": artifacts(jobdir),
        }
    )


def _build(
    options: Options,
    lessons: Lessons,
    found: str,
    jobdir: Path,
    send: Send,
    stop: threading.Event,
) -> tuple[Any, "Reporter"]:
    tokenizer = load_tokenizer(found, model_id=options.model)
    model = load_model(found, model_id=options.model, four_bit=options.four_bit)
    use_cores(model)
    longest = min(options.max_length, getattr(model.config, "max_position_embeddings", 1 << 30))

    def samples(of: Sequence[Lesson]) -> list[Sample]:
        return encode(of, tokenizer, max_length=longest, responses_only=options.responses_only)

    train, evaluate = samples(lessons.train), samples(lessons.evaluate)
    if not train:
        raise ConfigError(
            f"within maxLength {longest} tokens no row of the dataset has anything to learn; "
            "give a larger maxLength or shorter prompts",
            field="maxLength",
        )
    plan = Plan.of(options, len(train), evaluates=bool(evaluate))
    reporter = Reporter(plan, jobdir, send, stop, samples=len(train), eval_samples=len(evaluate))
    trainer = SFTTrainer(
        model=model,
        args=_arguments(options, plan, jobdir, longest),
        train_dataset=_dataset(train),
        eval_dataset=_dataset(evaluate) if evaluate else None,
        processing_class=tokenizer,
        peft_config=LoraConfig(
            task_type="CAUSAL_LM",
            r=options.lora_r,
            lora_alpha=options.lora_alpha,
            target_modules="all-linear",
        ),
        callbacks=[reporter],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer, reporter


def _arguments(options: Options, plan: Plan, jobdir: Path, longest: int) -> Any:
    chosen: dict[str, Any] = {} if options.optim is None else {"optim": options.optim}
    if options.scheduler == "cosine_with_min_lr":
        chosen["lr_scheduler_kwargs"] = {"min_lr_rate": 0.1}
    if options.scheduler == "warmup_stable_decay":
        chosen["lr_scheduler_kwargs"] = {"num_decay_steps": max(1, plan.steps // 10)}
    return SFTConfig(
        output_dir=str(jobdir),
        max_steps=plan.steps,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        learning_rate=options.learning_rate,
        lr_scheduler_type=options.scheduler,
        warmup_steps=plan.warmup,
        weight_decay=options.weight_decay,
        # Every step is logged to `Reporter`, which makes the windows: a window of Trainer's own
        # would be another one after a resume in its middle.
        logging_steps=1,
        save_strategy="steps" if plan.save_every else "no",
        save_steps=plan.save_every or plan.steps,
        eval_strategy="steps" if plan.eval_every else "no",
        eval_steps=plan.eval_every or None,
        max_length=longest,
        packing=False,
        dataset_kwargs={"skip_prepare_dataset": True},
        seed=SEED,
        use_cpu=not torch.cuda.is_available(),
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        **chosen,
    )


def _dataset(samples: Sequence[Sample]) -> Any:
    return Dataset.from_list([asdict(sample) for sample in samples])


def _save_adapter(trainer: Any, jobdir: Path) -> None:
    with new_folder(jobdir / ADAPTER) as partial:
        trainer.model.save_pretrained(str(partial))
        trainer.processing_class.save_pretrained(str(partial))


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
                    "resumedFrom": state.global_step or None,
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
