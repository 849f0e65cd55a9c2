"""What a project's entry offers: a manifest, or a trainer itself."""

from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol, TypeGuard

from arkor.errors import EntryError

__all__ = ["Arkor", "TrainerLike", "create_arkor", "find_trainer", "is_arkor"]


class TrainerLike(Protocol):
    """Whatever can be started, waited for and cancelled; all three are coroutines."""

    def start(self) -> Any:
        """Submit the run."""

    def wait(self) -> Any:
        """Follow the run to its end."""

    def cancel(self) -> Any:
        """Ask the backend to stop the run."""


@dataclass(frozen=True, slots=True)
class Arkor:
    """A project's manifest: the trainer that `arkor start` runs, if there is one."""

    trainer: TrainerLike | None = None
    _kind: Literal["arkor"] = field(default="arkor", init=False, repr=False)


def create_arkor(*, trainer: TrainerLike | None = None) -> Arkor:
    """Make the manifest that an entry exports as `arkor`."""
    return Arkor(trainer)


def is_arkor(value: object) -> TypeGuard[Arkor]:
    """Whether `value` is a project's manifest: an object tagged as one."""
    return getattr(value, "_kind", None) == "arkor"


def find_trainer(module: ModuleType) -> TrainerLike:
    """The trainer of an entry: its `arkor`, else its `trainer`, else its `default`.

    `arkor` and `default` may be a manifest or a trainer, and `default` any object with a
    `.trainer`. Raises `EntryError` naming the three if none of them holds a trainer.
    """
    arkor, default = getattr(module, "arkor", None), getattr(module, "default", None)
    for candidate in (
        arkor.trainer if is_arkor(arkor) else arkor,
        getattr(module, "trainer", None),
        default,
        getattr(default, "trainer", None),
    ):
        if _is_trainer(candidate):
            return candidate
    raise EntryError(
        f"{module.__file__} must export `arkor`, `trainer` or `default`, and one of them must "
        "hold a trainer; write `trainer = create_trainer(...)` at its top level"
    )


def _is_trainer(value: object) -> TypeGuard[TrainerLike]:
    # A class has the same attributes, and is not what is meant.
    return not isinstance(value, type) and all(
        callable(getattr(value, verb, None)) for verb in ("start", "wait", "cancel")
    )
