"""A job's config for the backend at hand; a local dataset file is brought there first."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

from arkor.core.spec import SUPPORTED_MODELS, BlobDataset, FileDataset, TrainingSpec
from arkor.errors import CloudApiError, ConfigError
from arkor.runner.identity import CLOUD
from arkor.runner.session import Session

__all__ = ["prepare_config"]


async def prepare_config(spec: TrainingSpec, session: Session) -> dict[str, Any]:
    """The config to submit. Raises `ConfigError` for what this backend cannot take."""
    if session.address == CLOUD and spec.model not in SUPPORTED_MODELS:
        raise ConfigError(
            f"Unsupported model {spec.model!r}: the managed cloud trains "
            f"{', '.join(SUPPORTED_MODELS)}; upgrade Arkor if it should be newer, "
            "or submit it with CloudApiClient.create_job",
            field="model",
        )
    dataset = spec.dataset
    if isinstance(dataset, BlobDataset) and dataset.token:
        session.keep_secret(dataset.token)
    if not isinstance(dataset, FileDataset):
        return spec.config()
    path = session.root / dataset.name
    try:
        sha256 = await asyncio.to_thread(_sha256, path)
        await _upload(session, sha256, path)
    except OSError as error:
        raise ConfigError(
            f"dataset.path: {path} cannot be read: {error.strerror}; nothing was submitted",
            field="dataset.path",
        ) from error
    return spec.config(file_sha256=sha256)


async def _upload(session: Session, sha256: str, path: Path) -> None:
    try:
        async with session.connect() as api:
            await api.put_dataset(sha256, path)
    except CloudApiError as error:
        if error.status not in {404, 405, 501}:
            raise
        raise ConfigError(
            f"{session.address} takes no local files; put {path.name} where it can be fetched "
            "and use BlobDataset, or train on the embedded backend (ARKOR_CLOUD_API_URL=local)",
            field="dataset",
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
