"""The file that tells this user's programs the token of the Studio that runs."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from arkor.errors import ArkorError
from arkor.store.files import write_private
from arkor.store.paths import ensure_home

__all__ = ["token_in_file"]


@contextlib.contextmanager
def token_in_file(home: Path, token: str, warn: Callable[[str], None]) -> Iterator[None]:
    """Keep `token` in `studio-token`, which only its user can read, while the block lasts.

    A file that cannot be written is no failure: `warn` is told. What a later Studio has written
    over it is left.
    """
    path = home / "studio-token"
    try:
        ensure_home(home)
        write_private(path, token.encode(), part=path.with_name(f"{path.name}.{os.getpid()}"))
    except (ArkorError, OSError) as error:
        warn(f"warning: {path} cannot be written ({error}); programs cannot find the token there")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # it is of no use to anybody by now
            if path.read_bytes() == token.encode():
                path.unlink()
