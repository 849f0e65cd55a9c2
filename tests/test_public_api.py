"""The public API is what `arkor.__all__` says, whole, documented and typed."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import arkor

ROOT = Path(arkor.__file__).parent
MODULES = [path for path in sorted(ROOT.rglob("*.py")) if path.name != "__main__.py"]
PROMISED = [
    "create_trainer",
    "create_arkor",
    "is_arkor",
    "Arkor",
    "Trainer",
    "TrainingResult",
    "StartedRun",
    "run_trainer",
    "run_trainer_sync",
    "load_trainer",
    "attach",
    "attach_sync",
    "resume_orphaned",
    "AbortController",
    "AbortSignal",
    "HuggingfaceDataset",
    "BlobDataset",
    "FileDataset",
    "LoraConfig",
    "TrainerOptions",
    "SUPPORTED_MODELS",
    "TrainerCallbacks",
    "EarlyStopping",
    "ProgressBar",
    "Webhook",
    "replay",
    "ReplayReport",
    "StartedContext",
    "LogContext",
    "CheckpointContext",
    "CompletedContext",
    "FailedContext",
    "CancelledContext",
    "EventContext",
    "InferResult",
    "OAuthCredentials",
    "AnonymousCredentials",
    "Credentials",
    "read_credentials",
    "write_credentials",
    "credentials_path",
    "ensure_credentials",
    "request_anonymous_token",
    "default_arkor_cloud_api_url",
    "ProjectState",
    "read_state",
    "write_state",
    "state_path",
    "open_journal",
    "Journal",
    "RunState",
    "CloudApiClient",
    "ArkorError",
    "CloudApiError",
    "ProtocolError",
    "AnonymousTokenRejectedError",
    "ProjectStateError",
    "ConfigError",
    "EntryError",
    "JournalError",
    "JournalCorruptError",
    "JournalTooNewError",
    "NoSuchRunError",
    "RunOwnedError",
    "RunPrunedError",
    "SubmissionInDoubtError",
    "StreamExhaustedError",
    "AbortError",
    "NonDeterminismError",
    "TrainingFailedError",
    "TrainingCancelledError",
]


def test_every_promised_name_is_public() -> None:
    assert sorted(set(PROMISED) - set(arkor.__all__)) == []


def test_every_public_name_is_there_and_described() -> None:
    assert len(set(arkor.__all__)) == len(arkor.__all__)
    for name in arkor.__all__:
        value = getattr(arkor, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"arkor.{name} has no docstring"


def test_nothing_else_is_public() -> None:
    visible = {
        name
        for name, value in vars(arkor).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert visible == {name for name in arkor.__all__ if not name.startswith("_")}


def test_every_public_function_is_typed() -> None:
    for name in arkor.__all__:
        value = getattr(arkor, name)
        for where, function in functions(name, value):
            parameters = [
                parameter
                for parameter in inspect.signature(function).parameters.values()
                if parameter.name not in ("self", "cls")
            ]
            bare = [each.name for each in parameters if each.annotation is each.empty]
            assert not bare, f"{where} has parameters without a type: {bare}"


def functions(name: str, value: object) -> Iterator[tuple[str, object]]:
    if inspect.isfunction(value):
        yield f"arkor.{name}", value
    elif inspect.isclass(value):
        for member, found in vars(value).items():
            if inspect.isfunction(found) and not member.startswith("_"):
                yield f"arkor.{name}.{member}", found


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES])
def test_every_module_says_what_it_is_and_what_it_offers(path: Path) -> None:
    tree = ast.parse(path.read_text())
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    assert re.fullmatch(r"\S.*[.:!?]", summary), "no docstring, or its first line is no sentence"
    if path.name == "__init__.py" and path.parent != ROOT:
        return
    assigned = [
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    assert "__all__" in assigned
