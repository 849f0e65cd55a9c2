"""The playground: a model, a checkpoint or an adapter, asked in the browser."""

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from arkor.core.spec import SUPPORTED_MODELS
from arkor.core.state import RunState
from arkor.core.wire import Adapter
from arkor.errors import NoSuchRunError
from arkor.runner.local import LOCAL
from arkor.store.journal import RunRow
from arkor.store.paths import backend_path
from arkor.studio.answers import Json
from arkor.studio.inference import chat
from arkor.studio.pages import render
from arkor.studio.reach import backend_of
from arkor.studio.state import Studio, studio_of

__all__ = ["base_models", "choices", "routes"]

TINY: Final = "arkor/tiny"
"""The model that the embedded backend brings along."""

LISTED: Final = 200
"""Runs that can be picked; an older one is reached by its own address."""


def routes() -> list[Route]:
    """The page, what can be asked, and the asking."""
    return [
        Route("/playground", playground, name="playground"),
        Route("/api/inference/models", models, name="models"),
        Route("/api/inference/chat", chat, methods=["POST"], name="chat"),
    ]


def playground(request: Request) -> Response:
    """The page. `?run=` (or `?adapter=`, a job's id) and `?step=` choose what is asked."""
    asked = request.query_params.get("run") or request.query_params.get("adapter")
    context = choices(studio_of(request), asked)
    return render(request, "playground.html", title="Playground", **context)


async def models(request: Request) -> Response:
    """`GET /api/inference/models[?run=ID]`: what can be asked, as parts of a chat's body.

    `{"models": [{"label": ..., "ask": {"baseModel": ...} or {"adapter": {...}}}]}`, the most
    trained first.
    """
    studio, run = studio_of(request), request.query_params.get("run")
    if run is None:
        known = await asyncio.to_thread(base_models, studio)
        return Json({"models": [_base(name, name) for name in known]})
    state = await asyncio.to_thread(lambda: studio.journal.fold(studio.journal.resolve(run)))
    return Json({"runId": state.run_id, "models": list(_models_of(state))})


def base_models(studio: Studio) -> list[str]:
    """The models that the project's backend is known to have; others may be asked by name."""
    if backend_of(studio) != LOCAL:
        return list(SUPPORTED_MODELS)
    folder = backend_path(studio.home) / "models"
    own = sorted(path.parent for path in folder.glob("**/config.json"))
    return [TINY, *(path.relative_to(folder).as_posix() for path in own)]


def choices(studio: Studio, asked: str | None) -> dict[str, Any]:
    """What `_models.html` offers: the runs that the backend took, of this project and of others.

    `asked` is the run that is chosen at first: its id, or its job's, or the beginning of one.
    """
    runs = [row for row in studio.journal.runs(limit=LISTED) if row.job_id and not row.pruned]
    chosen, missing = _chosen(studio, asked)
    if chosen is not None and chosen.run_id not in {row.run_id for row in runs}:
        runs.insert(0, chosen)
    root = str(studio.project_root)
    return {
        "runs": [row for row in runs if row.project_root == root],
        "others": [row for row in runs if row.project_root != root],
        "chosen": chosen.run_id if chosen else "",
        "missing": missing,
        "models": base_models(studio),
    }


def _chosen(studio: Studio, asked: str | None) -> tuple[RunRow | None, str]:
    """The run that the page's address names, and what is wrong with it."""
    if not asked:
        return None, ""
    try:
        row = studio.journal.row(asked)
    except NoSuchRunError as error:
        return None, str(error)
    if row.pruned:
        return None, f"the records of run {row.run_id} were removed, and its checkpoints with them"
    if row.job_id is None:
        return None, f"run {row.run_id} has not reached a backend, and has nothing to ask"
    return row, ""


def _models_of(state: RunState) -> Iterator[dict[str, Any]]:
    job_id = state.job_id
    if job_id is not None and state.status == "completed":
        yield _adapter("Final adapter", Adapter("final", job_id))
    if job_id is not None:
        for step in reversed(state.checkpoints):
            yield _adapter(f"Checkpoint of step {step:,}", Adapter("checkpoint", job_id, step))
    if isinstance(model := state.config.get("model"), str):
        yield _base(f"Base model ({model})", model)


def _adapter(label: str, adapter: Adapter) -> dict[str, Any]:
    return {"label": label, "ask": {"adapter": adapter.to_wire()}}


def _base(label: str, model: str) -> dict[str, Any]:
    return {"label": label, "ask": {"baseModel": model}}
