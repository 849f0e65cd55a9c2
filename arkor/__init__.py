"""Drive fine-tuning runs from Python code, with every event in a durable local journal."""

import typing

if typing.TYPE_CHECKING:
    from arkor.client.api import CloudApiClient
    from arkor.client.auth import request_anonymous_token
    from arkor.client.chat import InferResult
    from arkor.core.deployment_keys import DeploymentKey, IssuedKey
    from arkor.core.deployments import Deployment, DeploymentChanges, NewDeployment
    from arkor.core.record import Record
    from arkor.core.spec import (
        SUPPORTED_MODELS,
        BlobDataset,
        FileDataset,
        HuggingfaceDataset,
        LoraConfig,
    )
    from arkor.core.state import RunOwner, RunState
    from arkor.core.targets import DeploymentTarget
    from arkor.core.verify import VerifyReport
    from arkor.core.wire import Adapter, Job, Scope
    from arkor.errors import (
        AbortError,
        AnonymousTokenRejectedError,
        ArkorError,
        BackendUnreachableError,
        CloudApiError,
        ConfigError,
        CredentialsError,
        EntryError,
        JournalCorruptError,
        JournalError,
        JournalTooNewError,
        NonDeterminismError,
        NoSuchRunError,
        ProjectStateError,
        ProtocolError,
        RunOwnedError,
        RunPrunedError,
        StreamExhaustedError,
        SubmissionInDoubtError,
        TrainingCancelledError,
        TrainingFailedError,
    )
    from arkor.runner.abort import AbortController, AbortSignal
    from arkor.runner.callbacks import TrainerCallbacks
    from arkor.runner.contexts import (
        CancelledContext,
        CheckpointContext,
        CompletedContext,
        EventContext,
        FailedContext,
        LogContext,
        StartedContext,
    )
    from arkor.runner.early_stopping import EarlyStopping
    from arkor.runner.identity import default_arkor_cloud_api_url, ensure_credentials
    from arkor.runner.options import TrainerOptions
    from arkor.runner.progress_bar import ProgressBar
    from arkor.runner.project import (
        Arkor,
        create_arkor,
        is_arkor,
        load_trainer,
        run_trainer,
        run_trainer_sync,
    )
    from arkor.runner.replay import ReplayReport, replay
    from arkor.runner.takeover import attach, attach_sync, resume_orphaned
    from arkor.runner.trainer import StartedRun, Trainer, TrainingResult, create_trainer
    from arkor.runner.webhook import Webhook
    from arkor.store.credentials import (
        AnonymousCredentials,
        Credentials,
        OAuthCredentials,
        credentials_path,
        read_credentials,
        write_credentials,
    )
    from arkor.store.journal import Journal, open_journal
    from arkor.store.state import ProjectState, read_state, state_path, write_state

__version__ = "0.1.0"

__all__ = [
    "SUPPORTED_MODELS",
    "AbortController",
    "AbortError",
    "AbortSignal",
    "Adapter",
    "AnonymousCredentials",
    "AnonymousTokenRejectedError",
    "Arkor",
    "ArkorError",
    "BackendUnreachableError",
    "BlobDataset",
    "CancelledContext",
    "CheckpointContext",
    "CloudApiClient",
    "CloudApiError",
    "CompletedContext",
    "ConfigError",
    "Credentials",
    "CredentialsError",
    "Deployment",
    "DeploymentChanges",
    "DeploymentKey",
    "DeploymentTarget",
    "EarlyStopping",
    "EntryError",
    "EventContext",
    "FailedContext",
    "FileDataset",
    "HuggingfaceDataset",
    "InferResult",
    "IssuedKey",
    "Job",
    "Journal",
    "JournalCorruptError",
    "JournalError",
    "JournalTooNewError",
    "LogContext",
    "LoraConfig",
    "NewDeployment",
    "NoSuchRunError",
    "NonDeterminismError",
    "OAuthCredentials",
    "ProgressBar",
    "ProjectState",
    "ProjectStateError",
    "ProtocolError",
    "Record",
    "ReplayReport",
    "RunOwnedError",
    "RunOwner",
    "RunPrunedError",
    "RunState",
    "Scope",
    "StartedContext",
    "StartedRun",
    "StreamExhaustedError",
    "SubmissionInDoubtError",
    "Trainer",
    "TrainerCallbacks",
    "TrainerOptions",
    "TrainingCancelledError",
    "TrainingFailedError",
    "TrainingResult",
    "VerifyReport",
    "Webhook",
    "attach",
    "attach_sync",
    "create_arkor",
    "create_trainer",
    "credentials_path",
    "default_arkor_cloud_api_url",
    "ensure_credentials",
    "is_arkor",
    "load_trainer",
    "open_journal",
    "read_credentials",
    "read_state",
    "replay",
    "request_anonymous_token",
    "resume_orphaned",
    "run_trainer",
    "run_trainer_sync",
    "state_path",
    "write_credentials",
    "write_state",
]


_NAMES: typing.Final = {
    "arkor.client.api": ("CloudApiClient",),
    "arkor.client.auth": ("request_anonymous_token",),
    "arkor.client.chat": ("InferResult",),
    "arkor.core.deployment_keys": ("DeploymentKey", "IssuedKey"),
    "arkor.core.deployments": ("Deployment", "DeploymentChanges", "NewDeployment"),
    "arkor.core.record": ("Record",),
    "arkor.core.spec": (
        "SUPPORTED_MODELS",
        "BlobDataset",
        "FileDataset",
        "HuggingfaceDataset",
        "LoraConfig",
    ),
    "arkor.core.state": ("RunOwner", "RunState"),
    "arkor.core.targets": ("DeploymentTarget",),
    "arkor.core.verify": ("VerifyReport",),
    "arkor.core.wire": ("Adapter", "Job", "Scope"),
    "arkor.errors": (
        "AbortError",
        "AnonymousTokenRejectedError",
        "ArkorError",
        "BackendUnreachableError",
        "CloudApiError",
        "ConfigError",
        "CredentialsError",
        "EntryError",
        "JournalCorruptError",
        "JournalError",
        "JournalTooNewError",
        "NonDeterminismError",
        "NoSuchRunError",
        "ProjectStateError",
        "ProtocolError",
        "RunOwnedError",
        "RunPrunedError",
        "StreamExhaustedError",
        "SubmissionInDoubtError",
        "TrainingCancelledError",
        "TrainingFailedError",
    ),
    "arkor.runner.abort": ("AbortController", "AbortSignal"),
    "arkor.runner.callbacks": ("TrainerCallbacks",),
    "arkor.runner.contexts": (
        "CancelledContext",
        "CheckpointContext",
        "CompletedContext",
        "EventContext",
        "FailedContext",
        "LogContext",
        "StartedContext",
    ),
    "arkor.runner.early_stopping": ("EarlyStopping",),
    "arkor.runner.identity": ("default_arkor_cloud_api_url", "ensure_credentials"),
    "arkor.runner.options": ("TrainerOptions",),
    "arkor.runner.progress_bar": ("ProgressBar",),
    "arkor.runner.project": (
        "Arkor",
        "create_arkor",
        "is_arkor",
        "load_trainer",
        "run_trainer",
        "run_trainer_sync",
    ),
    "arkor.runner.replay": ("ReplayReport", "replay"),
    "arkor.runner.takeover": ("attach", "attach_sync", "resume_orphaned"),
    "arkor.runner.trainer": ("StartedRun", "Trainer", "TrainingResult", "create_trainer"),
    "arkor.runner.webhook": ("Webhook",),
    "arkor.store.credentials": (
        "AnonymousCredentials",
        "Credentials",
        "OAuthCredentials",
        "credentials_path",
        "read_credentials",
        "write_credentials",
    ),
    "arkor.store.journal": ("Journal", "open_journal"),
    "arkor.store.state": ("ProjectState", "read_state", "state_path", "write_state"),
}
"""Where each public name is defined: its module is imported when the name is first used."""

_MODULES: typing.Final = {name: module for module, names in _NAMES.items() for name in names}

if not typing.TYPE_CHECKING:  # type checkers know the names from above, and report any other

    def __getattr__(name: str) -> typing.Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        if _MODULES[name].startswith("arkor.runner."):
            import_module("arkor.client")  # imports httpx first, and without its command line
        found = getattr(import_module(_MODULES[name]), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted(["__version__", *__all__])
