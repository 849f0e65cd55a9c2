"""A job's rows: read from a local file, a blob over HTTPS or the hub, and split in two."""

import json
import math
import os
from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from arkor.backend.options import DRY_RUN_ROWS, Options
from arkor.errors import ConfigError

__all__ = ["Rows", "load_rows", "read_jsonl"]

Row = dict[str, Any]

_HELD_OUT: Final = 0.1
_HELD_OUT_MOST: Final = 500
_FETCH_TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows to train on, and those kept for evaluation, which may be none."""

    train: list[Row]
    evaluate: list[Row]


def load_rows(options: Options, *, home: Path, jobdir: Path) -> Rows:
    """Read and split the rows that `options` name.

    `home` is the backend's folder, where uploaded files lie; a blob is fetched once and kept in
    `jobdir`, so that a job that starts again has the same rows. Raises `ConfigError`.
    """
    source, split = options.source, options.split
    if source["type"] == "huggingface":
        train = _from_hub(source, split.train or source.get("split") or "train")
    else:
        train = read_jsonl(_file(source, home, jobdir))
        _refuse_named_splits(options)
    train = train[:DRY_RUN_ROWS] if options.dry_run else train
    if not train:
        raise ConfigError("the dataset has no rows", field="datasetSource")
    if not options.evaluates:
        return Rows(train, [])
    if isinstance(split.evaluate, str):
        kept = _from_hub(source, split.evaluate)
        return Rows(train, kept[:DRY_RUN_ROWS] if options.dry_run else kept)
    return _hold_out(train, split.evaluate)


def read_jsonl(path: Path) -> list[Row]:
    """The objects of a JSON Lines file; blank lines count for nothing. Raises `ConfigError`."""
    rows: list[Row] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            # Some programs write a mark of the encoding before the first line.
            text = _text(number, line.removeprefix(BOM_UTF8) if number == 1 else line)
            if text.strip():
                rows.append(_row(number, text))
    return rows


def _text(number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"line {number} of the dataset is not UTF-8 text: {error.reason} at its byte "
            f"{error.start + 1}",
            field="datasetSource",
        ) from error


def _row(number: int, line: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(
            f"line {number} of the dataset is not JSON: {error}; a dataset has one JSON object "
            "on each line",
            field="datasetSource",
        ) from error
    if not isinstance(row, dict):
        raise ConfigError(
            f"line {number} of the dataset is no JSON object but {type(row).__name__}",
            field="datasetSource",
        )
    return row


def _file(source: Mapping[str, Any], home: Path, jobdir: Path) -> Path:
    if source["type"] == "blob":
        return _fetched(source, jobdir / "dataset.jsonl")
    digest = source["sha256"]
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ConfigError(
            "datasetSource.sha256 must be 64 lower-case hex digits", field="datasetSource.sha256"
        )
    path = home / "datasets" / f"{digest}.jsonl"
    if not path.is_file():
        raise ConfigError(
            f"the backend has no dataset {digest[:12]}…; "
            f"send the file with PUT /v1/datasets/{digest} first",
            field="datasetSource.sha256",
        )
    return path


def _fetched(source: Mapping[str, Any], target: Path) -> Path:
    if target.exists():
        return target
    url = httpx.URL(source["url"])
    token = source.get("token")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # A query may be the secret of a presigned address, so it is not repeated.
    shown = f"{url.scheme}://{url.host}{url.path}"
    partial = target.with_suffix(".partial")
    try:
        with (
            httpx.Client(
                timeout=_FETCH_TIMEOUT,
                follow_redirects=True,
                event_hooks={"request": [_https_only]},
            ) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if not response.is_success:
                raise ConfigError(
                    f"the dataset at {shown} answered {response.status_code}; "
                    "check the address and its token",
                    field="datasetSource.url",
                )
            with partial.open("wb") as file:
                for piece in response.iter_bytes():
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ConfigError(
            f"the dataset at {shown} could not be fetched: {error or type(error).__name__}",
            field="datasetSource.url",
        ) from error
    return partial.replace(target)


def _https_only(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise ConfigError(
            "datasetSource.url must be an https:// address, and must not redirect to another kind",
            field="datasetSource.url",
        )


def _from_hub(source: Mapping[str, Any], split: str) -> list[Row]:
    from datasets import load_dataset

    name, subset = source["name"], source.get("subset")
    try:
        return list(load_dataset(name, subset, split=split))
    except Exception as error:
        # The library lets errors of its own, of the hub's client and of httpx through alike.
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(
            f"the dataset {name!r} (subset {subset!r}, split {split!r}) could not be loaded: "
            f"{text[0][:300]}",
            field="datasetSource.name",
        ) from error


def _refuse_named_splits(options: Options) -> None:
    split = options.split
    named = split.train if split.train not in (None, "train") else split.evaluate
    if isinstance(named, str):
        raise ConfigError(
            f"datasetSplit names {named!r}, but a file has only the split 'train'; give `eval` "
            "as a share below 1 or a number of rows to hold some out",
            field="datasetSplit",
        )


def _hold_out(rows: list[Row], wanted: float | int | None) -> Rows:
    if wanted is None:
        count = min(max(1, math.floor(len(rows) * _HELD_OUT)), _HELD_OUT_MOST)
    elif wanted < 1:
        count = max(1, math.floor(len(rows) * wanted))
    else:
        count = int(wanted)
    if count >= len(rows):
        raise ConfigError(
            f"{count} of {len(rows)} rows are to be held out for evaluation, which leaves none "
            "to train on; give more rows, a smaller datasetSplit.eval, or evalSteps 0",
            field="datasetSplit",
        )
    return Rows(rows[:-count], rows[-count:])
