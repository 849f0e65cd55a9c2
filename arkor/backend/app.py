"""The cloud API, served from this machine."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware

from arkor.backend.chat_process import ChatProcess
from arkor.backend.deployments import Deployments
from arkor.backend.folder import Folder
from arkor.backend.gate import Gate
from arkor.backend.job_queue import JobQueue
from arkor.backend.jobs import Jobs
from arkor.backend.refusals import handlers, plain
from arkor.backend.routes_account import AccountRoutes
from arkor.backend.routes_chat import ChatRoutes
from arkor.backend.routes_datasets import DatasetRoutes
from arkor.backend.routes_endpoints import EndpointRoutes
from arkor.backend.routes_jobs import JobRoutes
from arkor.backend.routes_public import PublicRoutes
from arkor.backend.service import BackendOptions, Service
from arkor.backend.stream import Bell

__all__ = ["Backend", "create_backend"]


@dataclass(frozen=True, slots=True)
class Backend:
    """An ASGI app, and the parts behind it."""

    app: Starlette
    service: Service

    def hang_up(self) -> None:
        """End the open event streams: the server is about to stop."""
        self.service.bell.close()

    def hurry(self) -> None:
        """Wait no longer for jobs that save; they go on from their last checkpoint some day."""
        self.service.queue.kill()


def create_backend(path: Path, *, token: str, options: BackendOptions | None = None) -> Backend:
    """The backend whose folder is `path`, for those who have the token.

    It trains while the app's lifespan lasts. Raises `ArkorError` if what it keeps cannot be used.
    """
    settings = options or BackendOptions()
    folder, bell = Folder(path), Bell()
    folder.create()
    deployments = Deployments(folder.endpoints)
    jobs = Jobs(folder.database, bell.ring)
    queue = JobQueue(
        jobs, folder, settings.train_command, grace=settings.grace, slots=settings.slots
    )
    chat = ChatProcess(
        settings.chat_command, folder.chat_log, idle_timeout=settings.chat_idle_timeout
    )
    service = Service(folder, token, settings, jobs, deployments, bell, queue, chat)
    rooms = (AccountRoutes, JobRoutes, DatasetRoutes, ChatRoutes, EndpointRoutes, PublicRoutes)
    app = Starlette(
        routes=[route for room in rooms for route in room(service).routes()],
        middleware=[Middleware(Gate, token=token)],
        exception_handlers=handlers(plain),
        lifespan=_lifespan(service),
    )
    return Backend(app, service)


def _lifespan(service: Service) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        service.queue.start()
        try:
            yield
        finally:
            await service.chat.close()
            await service.queue.close()
            service.jobs.close()

    return lifespan
