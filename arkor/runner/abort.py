"""Giving up a local wait: a controller, and the signal that a trainer listens to."""

import threading
from collections.abc import Callable

from arkor.errors import AbortError

__all__ = ["AbortController", "AbortSignal"]


class AbortSignal:
    """Says whether, and why, the wait that listens to it was aborted. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._aborted = False
        self._reason: object = None
        self._listeners: list[Callable[[], None]] = []

    @property
    def aborted(self) -> bool:
        """Whether `abort` was called."""
        return self._aborted

    @property
    def reason(self) -> object:
        """What `abort` was given."""
        return self._reason

    def throw_if_aborted(self) -> None:
        """Raise `AbortError` with the reason if `abort` was called."""
        if self._aborted:
            raise AbortError(self._reason)

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when aborted, or now if it was; the answer takes it off again."""
        with self._lock:
            if not self._aborted:
                self._listeners.append(listener)
                return lambda: self._unsubscribe(listener)
        listener()
        return lambda: None

    def _unsubscribe(self, listener: Callable[[], None]) -> None:
        with self._lock:
            if listener in self._listeners:
                self._listeners.remove(listener)

    def _abort(self, reason: object) -> None:
        with self._lock:
            if self._aborted:
                return
            self._aborted, self._reason = True, reason
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()


class AbortController:
    """Aborts the waits that listen to its `signal`. The runs themselves go on."""

    def __init__(self) -> None:
        self.signal = AbortSignal()

    def abort(self, reason: object = None) -> None:
        """Abort, once; a second call changes nothing. May be called from any thread."""
        self.signal._abort(reason)
