"""What a page can do: train, and cancel, leave or resume a run."""

import asyncio
from pathlib import Path
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from arkor.errors import CloudApiError, ConfigError, RunOwnedError
from arkor.runner.options import TrainerOptions
from arkor.runner.recorded import recorded_root
from arkor.runner.takeover import cancel_run
from arkor.store.journal import Journal
from arkor.store.lease import current_owner
from arkor.studio.answers import Json
from arkor.studio.bodies import number_of, read_object
from arkor.studio.launches import Launch, Launches
from arkor.studio.state import Studio, studio_of

__all__ = ["launch_json", "routes"]

MOST_OUTPUT: Final = 100_000
"""Bytes of a process's output in one answer."""

CONFLICT: Final = 409


def routes() -> list[Route]:
    """The routes that do something, and those that tell how it goes."""
    return [
        Route("/api/train", train, methods=["POST"]),
        Route("/api/launches/{id}", launch),
        Route("/api/runs/{id}/cancel", cancel, methods=["POST"]),
        Route("/api/runs/{id}/detach", detach, methods=["POST"]),
        Route("/api/runs/{id}/resume", resume, methods=["POST"]),
    ]


async def train(request: Request) -> Json:
    """Train the project: `{file?, dryRun?}`. 409 while an earlier start has no run yet."""
    body = await read_object(request)
    return Json(await run_in_threadpool(_train, studio_of(request), body), 202)


def launch(request: Request) -> Json:
    """How a process that was started here fares, and what it printed from byte `from` on."""
    studio = studio_of(request)
    launches = Launches(studio.home)
    found = launches.get(request.path_params["id"])
    # Asked first: the output that is read then has the end.
    said = launch_json(studio, found)
    text, end = launches.output(found.id, number_of(request, "from", 0), MOST_OUTPUT)
    return Json(said | {"output": text, "end": end})


async def cancel(request: Request) -> Json:
    """Ask the backend to stop the run, whoever follows it."""
    await read_object(request)
    studio, given = studio_of(request), request.path_params["id"]
    state = await asyncio.to_thread(studio.journal.run, given)
    if state.terminal:
        raise HTTPException(CONFLICT, f"this run has ended already: {state.status}")
    try:
        job = await cancel_run(state.run_id, options=TrainerOptions(home=studio.home))
    except CloudApiError as error:
        if error.status != CONFLICT:
            raise
        raise HTTPException(
            CONFLICT,
            "the job has ended already, and the journal does not have its end yet; "
            "resuming the run records it",
        ) from error
    return Json({"runId": state.run_id, "jobId": job.id, "status": job.status})


async def detach(request: Request) -> Json:
    """Stop the process that follows the run, if Studio started it; the run goes on."""
    await read_object(request)
    return Json(await run_in_threadpool(_detach, studio_of(request), request.path_params["id"]))


async def resume(request: Request) -> Json:
    """Take the run over in a process of its own, with the callbacks that it began with."""
    await read_object(request)
    studio, given = studio_of(request), request.path_params["id"]
    return Json(await run_in_threadpool(_resume, studio, given), 202)


def launch_json(studio: Studio, found: Launch) -> dict[str, Any]:
    """A launch as the pages have it; `runId` once its process has a run."""
    alive = found.alive
    return {
        "id": found.id,
        "what": found.what,
        "pid": found.pid,
        "startedAt": found.started_at,
        "alive": alive,
        "exitCode": None if alive else Launches(studio.home).exit_code(found.id),
        "runId": found.run_id or _run_of(studio.journal, found),
    }


def _train(studio: Studio, body: dict[str, Any]) -> dict[str, Any]:
    file, dry_run = body.get("file"), body.get("dryRun", False)
    if not isinstance(file, str | None) or not isinstance(dry_run, bool):
        raise ConfigError("`file` must be a text and `dryRun` true or false")
    arguments = ["start", *(["--dry-run"] if dry_run else [])]
    if file is not None:
        arguments += ["--", str(_inside(studio.project_root, file))]
    launches = Launches(studio.home)
    for each in launches.every():
        ours = each.project_root == str(studio.project_root) and each.what != "resume"
        if ours and each.alive and _run_of(studio.journal, each) is None:
            raise HTTPException(CONFLICT, "a training is being started already")
    what = "dry run" if dry_run else "train"
    return launch_json(studio, launches.start(arguments, what=what, cwd=studio.project_root))


def _inside(root: Path, file: str) -> Path:
    """The file, where symbolic links lead. Raises `ConfigError` if it is not in the project."""
    try:
        found = (root / file).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{file!r} does not exist", field="file") from error
    if not found.is_relative_to(root.resolve()):
        raise ConfigError(f"{file!r} must be inside the project directory", field="file")
    return found


def _detach(studio: Studio, id: str) -> dict[str, Any]:
    run_id = studio.journal.resolve(id)
    lease = studio.journal.lease(run_id)
    if lease is None or lease.state != "active" or current_owner().alive(lease.owner) is False:
        raise HTTPException(CONFLICT, "nobody follows this run at the moment")
    owner = lease.owner
    mine = current_owner().sees(owner) and Launches(studio.home).of_process(
        owner.pid, owner.process_start
    )
    if not mine:
        raise HTTPException(
            CONFLICT,
            f"process {owner.pid} on {owner.host} follows this run, and Studio did not start it: "
            "Ctrl-C in its terminal leaves the run",
        )
    mine.stop()
    return {"runId": run_id, "pid": owner.pid}


def _resume(studio: Studio, id: str) -> dict[str, Any]:
    state = studio.journal.run(id)
    if state.settled:
        raise HTTPException(CONFLICT, "this run has ended, and nothing is owed of it")
    if state.owner is not None and state.owner.state == "active":
        raise RunOwnedError(
            f"process {state.owner.pid} on {state.owner.host} follows this run",
            run_id=state.run_id,
            host=state.owner.host,
            pid=state.owner.pid,
        )
    root = recorded_root(state)
    cwd = root if root is not None and root.is_dir() else studio.project_root
    arguments = ["resume", state.run_id]
    found = Launches(studio.home).start(arguments, what="resume", cwd=cwd, run_id=state.run_id)
    return launch_json(studio, found)


def _run_of(journal: Journal, found: Launch) -> str | None:
    """The run that the process has, or had last."""
    for row in journal.runs(project_root=found.project_root, limit=20):
        lease = journal.lease(row.run_id)
        mine = lease is not None and (lease.owner.pid, lease.owner.process_start)
        if mine == (found.pid, found.process_start):
            return row.run_id
    return None
