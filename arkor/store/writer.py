"""Writing the journal: the one writer of this process."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from arkor.core.record import Entry, Record
from arkor.errors import JournalError
from arkor.store.database import Busy, WriteDoor
from arkor.store.paths import journal_path
from arkor.store.query import MOST_KINDS, read_meta
from arkor.store.runs import NewRun
from arkor.store.transaction import Appended, Kinds, Transaction

__all__ = ["Appended", "Busy", "NewRun", "Transaction", "Writer", "open_writer"]

_writers: dict[Path, "Writer"] = {}


def open_writer(home: Path | str | None = None) -> "Writer":
    """This process's writer of the journal in `home`; the same one each time.

    Opens nothing yet. Raises `ConfigError` if `ARKOR_JOURNAL_URL` cannot be used.
    """
    path = journal_path(home)
    return _writers.get(path) or _writers.setdefault(path, Writer(path))


class Writer:
    """Appends to the journal at `path`, for any thread, one transaction at a time.

    Every method raises `JournalError` if the journal cannot be opened or written, and has then
    written nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._door = WriteDoor(path)
        self._salt: tuple[object, bytes] = (None, b"")
        self._kinds: tuple[object, Kinds] = (None, {})

    @contextmanager
    def transaction(
        self, *, durable: bool, create: bool = True, at_once: bool = False
    ) -> Iterator[Transaction]:
        """Several reads and writes as one; an exception within the block undoes them all.

        What was written survives power loss if `durable`, otherwise the death of the process.
        With `create` a journal that is not there is made; what goes on with a run does without,
        so that nothing is in the way of whoever puts a lost journal back. With `at_once` it waits
        for no other writer, in this process or another, but raises `Busy`. Not to be nested.
        """
        with self._door.transaction(durable=durable, create=create, at_once=at_once) as connection:
            known = self._known_kinds()
            transaction = Transaction(connection, time.time(), known)
            yield transaction
            self._door.wrote(transaction.size)
        # Only now are the new ones there for others, too.
        if len(known) < MOST_KINDS:
            known.update(transaction.added)

    def append(
        self,
        run_id: str,
        entries: Sequence[Entry],
        *,
        epoch: int | None,
        durable: bool,
        index: Mapping[str, object] | None = None,
    ) -> list[Record]:
        """Append `entries` to a run's log, all or none.

        `epoch` is the appending owner's, or `None` for a note by somebody else. `index` gives
        the columns of the run's row that are to follow. Raises `RunOwnedError` if another
        process has taken the run.
        """
        with self.transaction(durable=durable, create=False) as tx:
            return tx.append(run_id, entries, epoch=epoch, index=index)

    def renew(self, run_id: str, epoch: int) -> None:
        """Renew a lease. Raises `RunOwnedError` if the run was taken over."""
        with self.transaction(durable=False, create=False) as tx:
            tx.renew(run_id, epoch)

    def set_idle(self, run_id: str, epoch: int) -> None:
        """Leave a run to whoever asks for it. Raises `RunOwnedError` as `renew` does."""
        with self.transaction(durable=False, create=False) as tx:
            tx.set_idle(run_id, epoch)

    def set_active(self, run_id: str, epoch: int) -> None:
        """Work on an idle run again. Raises `RunOwnedError` as `renew` does."""
        with self.transaction(durable=False, create=False) as tx:
            tx.set_active(run_id, epoch)

    def release(self, run_id: str, epoch: int) -> None:
        """Give a run up for good. Raises `RunOwnedError` as `renew` does."""
        with self.transaction(durable=False, create=False) as tx:
            tx.release(run_id, epoch)

    @property
    def salt(self) -> bytes:
        """The 32 random bytes of this journal with which secrets are digested."""
        file, salt = self._salt
        if file is None or file != self._door.identity:
            with self.transaction(durable=False) as tx:
                salt = self._read_salt(tx)
                self._salt = (self._door.identity, salt)
        return salt

    def _known_kinds(self) -> Kinds:
        # Numbers are those of one file: what stands in its place tomorrow has others.
        file, known = self._kinds
        if file != self._door.identity:
            known = {}
            self._kinds = (self._door.identity, known)
        return known

    def _read_salt(self, tx: Transaction) -> bytes:
        salt = read_meta(tx.connection, "redaction_salt")
        if salt is None:
            raise JournalError(f"the journal {self.path} has lost its salt", path=self.path)
        return bytes.fromhex(salt)

    def compact(self) -> int:
        """Give the room of what was pruned back to the disk; how many bytes that were.

        Takes as much room again for a while, and keeps other writers waiting.
        """
        return self._door.compact()

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        self._door.close()
