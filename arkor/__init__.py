"""Drive fine-tuning runs from Python code, with every event in a durable local journal."""

from arkor.client.api import CloudApiClient
from arkor.client.auth import request_anonymous_token
from arkor.client.chat import InferResult
from arkor.core.fold import RunOwner, RunState
from arkor.core.record import Record
from arkor.core.spec import (
    SUPPORTED_MODELS,
    BlobDataset,
    FileDataset,
    HuggingfaceDataset,
    LoraConfig,
)
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
    "EarlyStopping",
    "EntryError",
    "EventContext",
    "FailedContext",
    "FileDataset",
    "HuggingfaceDataset",
    "InferResult",
    "Job",
    "Journal",
    "JournalCorruptError",
    "JournalError",
    "JournalTooNewError",
    "LogContext",
    "LoraConfig",
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
