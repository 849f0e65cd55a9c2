"""Every exception Arkor raises.

::

    ArkorError
    ├── ConfigError              (also a ValueError) a bad option, before anything is submitted
    ├── EntryError               the training entry is missing or holds no trainer
    ├── CredentialsError         the credentials file cannot be used
    ├── ProjectStateError        the project state belongs to somebody else, or is missing
    ├── CloudApiError            the backend answered with an error status
    │   └── AnonymousTokenRejectedError
    ├── BackendUnreachableError  the backend did not answer
    ├── ProtocolError            the backend answered something that is not the protocol
    ├── JournalError             the journal cannot be read or written
    │   ├── JournalCorruptError
    │   ├── JournalTooNewError
    │   ├── NoSuchRunError       (also a LookupError) no run goes by that id, or several do
    │   │   └── RunPrunedError   the run's records were removed; perhaps there is an archive
    │   └── RunOwnedError        another living process owns the run
    ├── SubmissionInDoubtError   a crashed submission may have created one of several jobs
    ├── StreamExhaustedError     the event stream failed too often in a row
    ├── AbortError               the local wait was aborted; the run goes on
    ├── NonDeterminismError      a replayed callback did something else than was recorded
    ├── TrainingFailedError      the run ended `failed`
    └── TrainingCancelledError   the run ended `cancelled`

`ArkorWarning`, a `UserWarning`, is none of them: nothing has failed.
"""

__all__ = [
    "AbortError",
    "AnonymousTokenRejectedError",
    "ArkorError",
    "ArkorWarning",
    "BackendUnreachableError",
    "CloudApiError",
    "ConfigError",
    "CredentialsError",
    "EntryError",
    "JournalCorruptError",
    "JournalError",
    "JournalTooNewError",
    "NoSuchRunError",
    "NonDeterminismError",
    "ProjectStateError",
    "ProtocolError",
    "RunOwnedError",
    "RunPrunedError",
    "StreamExhaustedError",
    "SubmissionInDoubtError",
    "TrainingCancelledError",
    "TrainingFailedError",
]


class ArkorError(Exception):
    """The root of all errors that Arkor raises on purpose."""


class ArkorWarning(UserWarning):
    """Something was mended on the way, or is kept in another place or form than was asked for."""


class ConfigError(ArkorError, ValueError):
    """An option has a value that cannot work; `field` names it where there is one."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class EntryError(ArkorError):
    """The training entry does not exist, does not import, or defines no trainer."""


class CredentialsError(ArkorError):
    """The credentials file exists but cannot be used; it is never replaced on its own."""

    def __init__(self, message: str, *, path: object = None) -> None:
        super().__init__(message)
        self.path = None if path is None else str(path)


class ProjectStateError(ArkorError):
    """This directory's project cannot be used with these credentials."""


class CloudApiError(ArkorError):
    """The backend answered with a status outside 2xx.

    `status` is the HTTP status, `code` the body's `error` text where there was one, and
    `retry_after` the seconds of a `Retry-After` header (RFC 9110, 10.2.3).
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.retry_after = retry_after


class AnonymousTokenRejectedError(CloudApiError):
    """The backend refused to issue an anonymous identity."""


class BackendUnreachableError(ArkorError):
    """The backend could not be reached, or the connection broke before it answered."""


class ProtocolError(ArkorError):
    """The backend's answer is not what the protocol says; the excerpt is short and redacted."""


class JournalError(ArkorError):
    """The journal cannot be opened, read or written; `path` names the file."""

    def __init__(self, message: str, *, path: object = None) -> None:
        super().__init__(message)
        self.path = None if path is None else str(path)


class JournalCorruptError(JournalError):
    """The journal file is damaged; it is left exactly as it is."""


class JournalTooNewError(JournalError):
    """A newer Arkor wrote this journal; it is left exactly as it is."""


class NoSuchRunError(JournalError, LookupError):
    """No run has that id, or several begin with it; `matches` are their run ids."""

    def __init__(self, message: str, *, path: object = None, matches: tuple[str, ...] = ()) -> None:
        super().__init__(message, path=path)
        self.matches = matches


class RunPrunedError(NoSuchRunError):
    """The run's records were removed from the journal; `archive` is the file that has them.

    `archive` is `None` if the records were removed without one.
    """

    def __init__(
        self, message: str, *, run_id: str, archive: str | None = None, path: object = None
    ) -> None:
        super().__init__(message, path=path, matches=(run_id,))
        self.run_id = run_id
        self.archive = archive


class RunOwnedError(JournalError):
    """Another living process owns the run; `host` and `pid` say which."""

    def __init__(self, message: str, *, run_id: str, host: str, pid: int) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.host = host
        self.pid = pid


class SubmissionInDoubtError(ArkorError):
    """Several jobs could be the one a crashed submission created; Arkor does not guess."""

    def __init__(self, message: str, *, run_id: str, candidates: tuple[str, ...]) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.candidates = candidates


class StreamExhaustedError(ArkorError):
    """The event stream failed more often in a row than `max_reconnect_attempts` allows."""


class AbortError(ArkorError):
    """The local wait was aborted; the run goes on at the backend. `reason` is what was given."""

    def __init__(self, reason: object = None, *, message: str | None = None) -> None:
        super().__init__(message or (f"aborted: {reason}" if reason is not None else "aborted"))
        self.reason = reason


class NonDeterminismError(ArkorError):
    """A replayed callback took another step than the recorded one."""

    def __init__(
        self, message: str, *, seq: int, consumer: str, expected: object, actual: object
    ) -> None:
        super().__init__(message)
        self.seq = seq
        self.consumer = consumer
        self.expected = expected
        self.actual = actual


class TrainingFailedError(ArkorError):
    """The run ended `failed`; `error` is the backend's own text."""

    def __init__(self, message: str, *, job_id: str, error: str | None) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.error = error


class TrainingCancelledError(ArkorError):
    """The run ended `cancelled`."""

    def __init__(self, message: str, *, job_id: str) -> None:
        super().__init__(message)
        self.job_id = job_id
