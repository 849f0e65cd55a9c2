"""Train on demand from a web server: `uvicorn web_route:app`.

A request starts a run and answers with its job's id at once; the run is followed in the
background. Each request is a run of its own (`resume="never"`). Runs that a server left behind
when it died are taken up once, when the next server starts. Under `/status` the service's users
get the runs as an API, read-only: `/status/api/runs`, and `/status/api/runs/{id}/events` live.
"""

import asyncio
import hmac
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException, Request

from arkor import FailedContext, NoSuchRunError, open_journal, resume_orphaned
from arkor.studio import create_app
from src.arkor.trainer import make_trainer

background: set[asyncio.Task[Any]] = set()


class Alerts:
    """What is called as a run goes on, in this server or in the next."""

    def on_failed(self, ctx: FailedContext) -> None:
        print(f"ALERT: {ctx.job.name} ({ctx.job.id}) failed: {ctx.error}")


def follow(work: Coroutine[Any, Any, Any]) -> None:
    """Do `work` in the background. asyncio keeps no reference to its tasks: we do."""
    task = asyncio.create_task(work)
    background.add(task)
    task.add_done_callback(ended)


def ended(task: asyncio.Task[Any]) -> None:
    """Say so when `wait()` raised: the run may go on, and the next server takes it up."""
    background.discard(task)
    if not task.cancelled() and (error := task.exception()):
        print(f"No longer following a run: {error}")


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    follow(resume_orphaned(callbacks=Alerts()))
    yield
    for task in background:
        task.cancel()


def may_read(request: Request) -> bool:
    """Say here which of your users may see the runs; while there is no key, nobody may."""
    key, given = os.environ.get("SERVICE_KEY", ""), request.headers.get("x-service-key", "")
    return bool(key) and hmac.compare_digest(given.encode(), key.encode())


app = FastAPI(lifespan=lifespan)
app.mount("/status", create_app(pages=False, authorize=may_read))


@app.post("/train", status_code=202)
async def train() -> dict[str, str]:
    trainer = make_trainer(resume="never", callbacks=Alerts())
    started = await trainer.start()
    follow(trainer.wait())
    return {"jobId": started.job_id}


@app.get("/train/{job_id}")
def status(job_id: str) -> dict[str, str]:
    try:
        return {"jobId": job_id, "status": open_journal().run(job_id).status}
    except NoSuchRunError as error:
        raise HTTPException(404, str(error)) from error
