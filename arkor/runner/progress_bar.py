"""A progress bar for programs that train: the same figures as `arkor start` shows."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from arkor.core.events import decode
from arkor.runner.contact import Contact
from arkor.runner.contexts import (
    CancelledContext,
    CheckpointContext,
    CompletedContext,
    Context,
    FailedContext,
    LogContext,
    StartedContext,
)
from arkor.runner.pace import Pace, advance, moment, steps_of
from arkor.runner.progress_view import View, open_view
from arkor.runner.wording import clean

__all__ = ["ProgressBar"]

log = logging.getLogger("arkor")


class ProgressBar:
    """Shows on stderr how far a run has come: step, loss, steps a second, time left.

    On a terminal it is a live line, several runs have one each; elsewhere a plain line a second
    at most. After a restart it stands where it stood. A terminal that fails never breaks the
    run. Make one for each trainer.
    """

    replays = True

    def __init__(self, *, name: str = "progress") -> None:
        self.name = name
        self._pace = Pace()
        self._replayed = False
        self._view: View | None = None
        self._broken = False

    def on_started(self, ctx: StartedContext) -> None:
        """Take the number of steps."""
        self._pace = Pace(total=steps_of(ctx.job.config))
        self._observe(ctx)

    def on_log(self, ctx: LogContext) -> None:
        """Show the figures of a step."""
        self._observe(ctx)

    def on_checkpoint(self, ctx: CheckpointContext) -> None:
        """Say that a checkpoint was saved."""
        self._show(ctx, lambda view: view.say(f"checkpoint saved at step {ctx.step}"))

    def on_completed(self, ctx: CompletedContext) -> None:
        """Leave the last figures."""
        self._end(ctx, "completed")

    def on_failed(self, ctx: FailedContext) -> None:
        """Leave the last figures, and the reason."""
        self._end(ctx, clean(f"failed: {ctx.error}"))

    def on_cancelled(self, ctx: CancelledContext) -> None:
        """Leave the last figures."""
        self._end(ctx, "cancelled")

    def _observe(self, ctx: Context) -> None:
        if self._replayed and not ctx.replaying:
            self._pace = self._pace.rested()
        self._replayed = ctx.replaying
        event = ctx.event
        time = moment(event.data, event.recorded_at)
        pace = self._pace = advance(self._pace, decode(event.type, event.text), time)
        contact = Contact(heard=datetime.fromisoformat(event.recorded_at).timestamp())

        def show(view: View) -> None:
            view.hear(contact)
            view.show(pace)

        self._show(ctx, show)

    def _end(self, ctx: Context, last: str) -> None:
        self._show(ctx, lambda view: view.show(self._pace))
        if not ctx.replaying:
            self._close(last)

    def _show(self, ctx: Context, act: Callable[[View], None]) -> None:
        """Let the view act, unless the call was made before: what it said has been said."""
        if ctx.replaying or self._broken:
            return
        try:
            act(self._view or self._open(clean(ctx.job.name)))
        except Exception as error:  # of whatever kind: the run is worth more than its bar
            self._give_up(error)

    def _open(self, title: str) -> View:
        view = self._view = open_view(title)
        if (waiting := asyncio.current_task()) is not None:
            # A wait that is aborted, or raises, has no last call: the terminal is given back.
            waiting.add_done_callback(lambda _: self._close())
        return view

    def _close(self, last: str = "") -> None:
        view, self._view = self._view, None
        if view is None:
            return
        try:
            view.close(last)
        except Exception as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        if not self._broken:
            self._broken = True
            log.warning("the progress is no longer shown: %s: %s", type(error).__name__, error)
