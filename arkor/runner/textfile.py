"""Editing a text file of somebody else's: its line ends and its byte order mark stay."""

import os
from pathlib import Path

__all__ = ["in_its_style", "read_exactly", "replace_text"]


def read_exactly(path: Path) -> str:
    r"""The text of a file with its own line ends, and `\ufeff` where it begins with a mark.

    Raises `UnicodeDecodeError` if it is not UTF-8, and `OSError`.
    """
    return path.read_bytes().decode("utf-8")


def in_its_style(lines: str, host: str) -> str:
    """`lines`, ended as most of `host` are."""
    most = host.count("\r\n") * 2 > host.count("\n")
    return lines.replace("\n", "\r\n") if most else lines


def replace_text(path: Path, text: str) -> None:
    """Put `text` in the place of what a file holds, all of it or nothing. Raises `OSError`."""
    target = path.resolve()  # a link stays one
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_bytes(text.encode("utf-8"))
        part.chmod(target.stat().st_mode)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
