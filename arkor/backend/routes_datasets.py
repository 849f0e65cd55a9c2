"""The routes of uploaded files, each named by its digest."""

import asyncio
import hashlib
import os
import re
from pathlib import Path
from typing import BinaryIO, Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from arkor.backend.folder import new_file
from arkor.backend.refusals import Refusal
from arkor.backend.service import Service

__all__ = ["DatasetRoutes"]

_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


class DatasetRoutes:
    """Taking a file once, whoever sends it and how often."""

    def __init__(self, service: Service) -> None:
        self._folder = service.folder

    def routes(self) -> list[Route]:
        """The routes, for the app."""
        path = "/v1/datasets/{sha256}"
        return [
            Route(path, self.get, methods=["GET", "HEAD"]),
            Route(path, self.put, methods=["PUT"]),
        ]

    async def get(self, request: Request) -> Response:
        """`GET` and `HEAD /v1/datasets/SHA256`: the file's bytes; 404 if it is not here."""
        path = self._path(request)
        if not path.exists():
            raise Refusal(404, f"there is no file with the SHA-256 {path.stem} here")
        return FileResponse(path, media_type="application/x-ndjson")

    async def put(self, request: Request) -> Response:
        """`PUT /v1/datasets/SHA256`: 201 if it is new, 200 if it was here, 400 if it is another."""
        path = self._path(request)
        if path.exists():
            # Read it all the same: a client whose body is not read may see a broken connection.
            async for _ in request.stream():
                pass
            return Response(status_code=200)
        await _receive(request, path)
        return Response(status_code=201)

    def _path(self, request: Request) -> Path:
        sha256 = request.path_params["sha256"]
        if not _SHA256.fullmatch(sha256):
            raise Refusal(400, "a dataset is named by its SHA-256, 64 lower-case hex digits")
        return self._folder.dataset(sha256)


async def _receive(request: Request, path: Path) -> None:
    """Write the body to `path`, which it appears at whole or not at all."""
    digest = hashlib.sha256()
    with new_file(path) as file:
        async for piece in request.stream():
            digest.update(piece)
            await asyncio.to_thread(file.write, piece)
        if digest.hexdigest() != path.stem:
            raise Refusal(400, f"the body's SHA-256 is {digest.hexdigest()}, not the path's")
        await asyncio.to_thread(_sync, file)


def _sync(file: BinaryIO) -> None:
    # What is left of this for the loop's thread takes no time then.
    file.flush()
    os.fsync(file.fileno())
