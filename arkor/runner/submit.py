"""Submitting an owned run: once, whatever dies in between.

The wish is durable before the request is sent. Whoever finds a wish without an answer searches
the backend's jobs before it sends the request again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from arkor.client.api import CloudApiClient
from arkor.client.retry import Backoff, is_transient
from arkor.client.transport import TRIES, NeverSentError
from arkor.core.notes import SubmitRefused, SubmitRequested, Submitted, entry_of
from arkor.core.record import Entry
from arkor.core.redact import without_token
from arkor.core.wire import Job
from arkor.errors import BackendUnreachableError, CloudApiError, SubmissionInDoubtError
from arkor.runner.ownership import OwnedRun

__all__ = ["Submission", "submitted"]

CLOCK_SLACK: Final = timedelta(minutes=5)
"""How much earlier than the wish a job may seem to have been created, and still be ours."""

UNDECIDED: Final = frozenset({408, 409, 425, 429})
"""Client errors after which the job may exist, or may be accepted a little later."""


@dataclass(slots=True)
class Submission:
    """A run and the config to submit it with; `sent` if the request may have been sent before."""

    run: OwnedRun
    config: Mapping[str, Any]
    resumed: bool
    sent: bool

    @property
    def refused(self) -> bool:
        """Whether the backend refused the run for good."""
        return self.run.state.status == "refused"

    async def ensure(self) -> None:
        """Have the backend's answer in the log: found among its jobs, or asked for.

        Where an answer got lost it looks again, three times in all. Raises
        `SubmissionInDoubtError` if several jobs may be the run, and what the last try raised.
        """
        options = self.run.session.options
        backoff = Backoff(options.reconnect_delay, options.max_reconnect_delay)
        while self.run.state.job is None:
            try:
                await self._submit()
            except (BackendUnreachableError, CloudApiError) as error:
                if not self.sent or not _is_passing(error) or backoff.failures >= TRIES - 1:
                    raise
                retry_after = error.retry_after if isinstance(error, CloudApiError) else None
                await asyncio.sleep(backoff.next_delay(retry_after))

    async def _submit(self) -> None:
        run, wish = self.run, self.run.state.wish
        assert isinstance(wish, SubmitRequested), "a run without a job has a wish for one"
        async with run.session.connect() as api:
            job = await self._search(api, wish) if self.sent else None
            matched = job is not None and _key_of(job) != wish.idempotency_key
            if job is None:
                job = await self._send(api, wish)
        run.append([submitted(run, job, matched=matched)], durable=True)

    async def _send(self, api: CloudApiClient, wish: SubmitRequested) -> Job:
        run, sent_before, self.sent = self.run, self.sent, True
        try:
            return await api.create_job(
                run.session.scope,
                wish.name,
                self.config,
                idempotency_key=wish.idempotency_key,
                tries=1,
            )
        except NeverSentError:
            self.sent = sent_before
            raise
        except CloudApiError as error:
            if 400 <= error.status < 500 and error.status not in UNDECIDED:
                refusal = SubmitRefused(error.status, error.message)
                run.append([entry_of(refusal)], durable=True)
                run.release()
            raise

    async def _search(self, api: CloudApiClient, wish: SubmitRequested) -> Job | None:
        """The job that the earlier request made, if it is certain; `None` if it made none."""
        run = self.run
        jobs = await api.list_jobs(run.session.scope)
        if any(_key_of(job) for job in jobs):
            mine = [job for job in jobs if _key_of(job) == wish.idempotency_key]
        else:
            first = next(run.journal.records(run.run_id, limit=1))
            ahead = timedelta(seconds=api.transport.clock_offset or 0)
            earliest = datetime.fromisoformat(first.recorded_at) + ahead - CLOCK_SLACK
            known = {row.job_id for row in run.journal.runs()}
            mine = [
                job
                for job in jobs
                if job.id not in known
                and job.name == wish.name
                and _is_like(job.config, self.config)
                and _created(job) >= earliest
            ]
        if len(mine) > 1:
            raise _in_doubt(run.run_id, tuple(job.id for job in mine))
        return mine[0] if mine else None


def submitted(run: OwnedRun, job: Job, *, matched: bool) -> Entry:
    """The entry that says: the backend has accepted `run` as `job`."""
    body = {**job.to_wire(), "config": without_token(job.config, run.salt)}
    return entry_of(Submitted(body, matched))


def _is_passing(error: BackendUnreachableError | CloudApiError) -> bool:
    return isinstance(error, BackendUnreachableError) or is_transient(error.status)


def _key_of(job: Job) -> object:
    return job.extra.get("idempotencyKey")


def _created(job: Job) -> datetime:
    try:
        created = datetime.fromisoformat(job.created_at)
    except ValueError:
        # A date that cannot be read rules nothing out: taken for new, the job stays a candidate.
        return datetime.max.replace(tzinfo=UTC)
    return created if created.tzinfo else created.replace(tzinfo=UTC)


def _is_like(shown: object, sent: object) -> bool:
    """Whether every value that was sent is shown unchanged, tokens apart.

    What the backend has added, at any depth, makes no difference.
    """
    if not isinstance(sent, Mapping):
        return shown == sent
    return isinstance(shown, Mapping) and all(
        key == "token" or (key in shown and _is_like(shown[key], value))
        for key, value in sent.items()
    )


def _in_doubt(run_id: str, candidates: tuple[str, ...]) -> SubmissionInDoubtError:
    return SubmissionInDoubtError(
        f"run {run_id} was being submitted when its process died, and any of the jobs "
        f"{', '.join(candidates)} may be it, each perhaps using a GPU; say which with "
        f"`arkor adopt {run_id} JOB`, or `arkor resume {run_id} --submit-again` if none is",
        run_id=run_id,
        candidates=candidates,
    )
