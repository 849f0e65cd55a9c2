"""A head of a run's log as one line of text, to be kept where the journal is not."""

import re
from dataclasses import dataclass
from typing import Final

from arkor.errors import ConfigError

__all__ = ["Anchor", "parse_anchor", "parse_heads"]

_MARK: Final = "arkor-anchor"
_LINE: Final = re.compile(
    r"arkor-anchor v1 (?P<run_id>[0-9A-Za-z._-]+) (?P<seq>[1-9][0-9]{0,17})"
    r" (?P<digest>[0-9a-f]{64}) (?P<recorded_at>\S+)"
)
_DIGEST: Final = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Anchor:
    """That record `seq` of a run has this digest (32 bytes), and with it all before it have theirs.

    An anchor made of a bare digest knows neither run, seq nor time.
    """

    digest: bytes
    run_id: str | None = None
    seq: int | None = None
    recorded_at: str | None = None

    def line(self) -> str:
        """`arkor-anchor v1 RUN_ID SEQ DIGEST RECORDED_AT`; for a bare digest, its hex digits."""
        if self.seq is None:
            return self.digest.hex()
        return f"{_MARK} v1 {self.run_id} {self.seq} {self.digest.hex()} {self.recorded_at}"


def parse_anchor(text: str) -> Anchor:
    """The anchor of a line, or of a bare digest in hex. Raises `ConfigError` for anything else."""
    text = text.strip()
    if _DIGEST.fullmatch(text):
        return Anchor(bytes.fromhex(text))
    found = _LINE.fullmatch(text)
    if found is None:
        newer = text.startswith(f"{_MARK} v") and not text.startswith(f"{_MARK} v1 ")
        raise ConfigError(
            f"{text[:100]!r} is an anchor of a newer Arkor; upgrade with `pip install -U arkor`"
            if newer
            else f"{text[:100]!r} is neither a digest (64 hex digits) nor a line of `arkor anchor`",
            field="head",
        )
    return Anchor(
        digest=bytes.fromhex(found["digest"]),
        run_id=found["run_id"],
        seq=int(found["seq"]),
        recorded_at=found["recorded_at"],
    )


def parse_heads(text: str) -> list[Anchor]:
    """The anchors of a text with one a line; lines that are empty or begin with `#` are none.

    Raises `ConfigError` as `parse_anchor` does, and for a text without any.
    """
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not lines:
        raise ConfigError("there is no anchor in what was given as the head", field="head")
    return [parse_anchor(line) for line in lines]
