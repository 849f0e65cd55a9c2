"""LoRA fine-tuning of one job with trl and PEFT, its progress told as events."""

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import PrinterCallback, TrainerState, set_seed
from trl import SFTConfig, SFTTrainer

from arkor.backend.checkpoints import (
    ADAPTER,
    TRAINER_STATE,
    adapter_from,
    artifacts,
    complete_checkpoints,
    new_folder,
)
from arkor.backend.encoding import Sample, encode
from arkor.backend.model import load_model, load_tokenizer, use_cores
from arkor.backend.options import SEED, Options
from arkor.backend.plan import Plan
from arkor.backend.progress import Reporter, Send
from arkor.backend.rows import Lesson
from arkor.errors import ConfigError

__all__ = ["Lessons", "tune"]


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
    `jobdir`. `send` gets the job's events without `jobId` and `timestamp`, and
    `{"type": "cancelled"}` after a stop. Raises `ConfigError` for what cannot be trained.
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
) -> tuple[Any, Reporter]:
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
