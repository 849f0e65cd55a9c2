"""What `arkor start` would submit, looked at without submitting it."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from arkor.cli.place import backend_address
from arkor.cli.render import note, show_facts, show_json
from arkor.errors import ConfigError, EntryError

if TYPE_CHECKING:
    from arkor.runner.trainer import Plan, Trainer

__all__ = ["preview"]


def preview(trainer: "Trainer", *, as_json: bool = False) -> None:
    """Print the checked options of a trainer; nothing is sent anywhere.

    Raises `ConfigError` for a dataset file that cannot be read and for a backend's address that
    cannot work, `EntryError` for a trainer that create_trainer() has not made.
    """
    from arkor.runner.trainer import Trainer

    if not isinstance(trainer, Trainer) or trainer.plan.spec is None:
        raise EntryError("the entry holds no trainer that create_trainer() has made")
    plan = trainer.plan
    _look_at_dataset(plan)
    facts = _facts(plan)
    if as_json:
        show_json(facts)
    else:
        show_facts(_in_words(facts))
        note("nothing was submitted: `arkor start` without --check does that")


def _facts(plan: "Plan") -> dict[str, Any]:
    spec, entry = plan.spec, plan.entry
    assert spec is not None
    config = spec.config()
    return {
        "name": plan.name,
        "entry": entry and str(entry.path),
        "projectRoot": entry and str(entry.project_root),
        "backend": _address(plan),
        "runKey": plan.run_key,
        "config": {**config, "datasetSource": _without_secrets(config["datasetSource"])},
        "callbacks": {each.name: sorted(each.functions) for each in plan.consumers},
    }


def _address(plan: "Plan") -> str | None:
    from arkor.runner.settings import check_address, load_settings

    given = plan.options.base_url
    if given is not None:
        check_address(given, "base_url")
    elif load_settings(plan.options.cwd).backend == "":
        raise ConfigError("ARKOR_CLOUD_API_URL is empty; name a backend, or unset it")
    return given or backend_address()


def _without_secrets(source: Mapping[str, Any]) -> dict[str, Any]:
    """A dataset's source without its token, and its address without a signature."""
    shown = {name: value for name, value in source.items() if name != "token"}
    if "url" in shown:
        shown["url"] = shown["url"].partition("?")[0]
    return shown


def _in_words(facts: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    for name in ("name", "entry", "backend"):
        yield name, facts[name]
    yield "run key", facts["runKey"]
    for name, value in facts["config"].items():
        yield name, _named(value)
    for name, functions in facts["callbacks"].items():
        yield f"callbacks {name}", ", ".join(functions) or "none"


def _named(value: object) -> object:
    """An object of the wire as its values, in order."""
    return " ".join(map(str, value.values())) if isinstance(value, Mapping) else value


def _look_at_dataset(plan: "Plan") -> None:
    from arkor.core.spec import FileDataset
    from arkor.store.state import project_root

    assert plan.spec is not None
    dataset = plan.spec.dataset
    if not isinstance(dataset, FileDataset):
        return
    path = project_root(plan.options.cwd) / dataset.name
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(
            f"dataset.path: {path} cannot be read: {error.strerror}", field="dataset.path"
        ) from error
