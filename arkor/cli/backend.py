"""`arkor backend`: the embedded backend, which trains on this machine."""

import time
from pathlib import Path
from typing import Annotated

import typer

from arkor.cli.door import Exit
from arkor.cli.extras import INSTALL_BACKEND, missing_for_backend
from arkor.cli.place import store_home
from arkor.cli.render import note, show, show_json
from arkor.errors import ConfigError

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    help="The embedded backend, which trains on this machine: a process that outlives its clients.",
)

Home = Annotated[
    Path | None,
    typer.Option(help="The store's folder.", envvar="ARKOR_HOME", show_default=False),
]


@app.command()
def serve(
    home: Home = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
) -> None:
    """Serve in this terminal until stopped (`arkor backend start` serves in the background).

    Example: `arkor backend serve --port 8400`
    """
    _need_extra()
    from arkor.backend.server import serve as serve_here

    raise typer.Exit(serve_here(store_home(home), port=port))


@app.command()
def start(home: Home = None) -> None:
    """Start it in the background, unless it runs; return when it answers.

    Example: `arkor backend start`
    """
    _need_extra()
    from arkor.runner.local import ensure_backend

    backend = ensure_backend(store_home(home))
    note(f"the embedded backend runs at {backend.url} (pid {backend.pid})")


@app.command()
def stop(home: Home = None) -> None:
    """Stop it. A job that is training saves a checkpoint and goes on at the next start.

    Example: `arkor backend stop`
    """
    _need_extra()
    from arkor.backend.server import stop as stop_there

    stopped = stop_there(store_home(home))
    note("the embedded backend has stopped" if stopped else "the embedded backend is not running")


@app.command()
def status(
    home: Home = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say whether it runs, and where. Exits 1 if it does not.

    Examples: `arkor backend status`, `arkor backend status --json`
    """
    from arkor.runner.local import find_backend

    folder = store_home(home)
    backend = find_backend(folder)
    facts: dict[str, object] = {"running": backend is not None, "home": str(folder)}
    if backend is not None:
        facts |= {"url": backend.url, "pid": backend.pid}
    if as_json:
        show_json(facts)
    elif backend is not None:
        show(f"running at {backend.url} (pid {backend.pid})")
    else:
        show("not running")
    raise typer.Exit(Exit.OK if backend is not None else Exit.NO)


@app.command()
def logs(
    home: Home = None,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines.")] = 50,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as it grows.")] = False,
) -> None:
    """Print the end of its log.

    Examples: `arkor backend logs`, `arkor backend logs -n 200 --follow`
    """
    from arkor.store.paths import backend_path

    path = backend_path(store_home(home)) / "backend.log"
    if not path.exists():
        note(f"the embedded backend has no log yet ({path})")
        raise typer.Exit(Exit.NO)
    with path.open(errors="replace") as log:
        for line in _last(log.read(), lines):
            show(line)
        while follow:
            if line := log.readline():
                show(line.rstrip("\n"), at_once=True)
            else:
                time.sleep(0.2)


def _last(text: str, lines: int) -> list[str]:
    return text.splitlines()[-lines:] if lines else []


def _need_extra() -> None:
    """Say how to get what the embedded backend needs, where it is not installed."""
    if missing := missing_for_backend():
        raise ConfigError(
            f"the embedded backend needs {', '.join(missing)}, which this Python has not: "
            f"{INSTALL_BACKEND}"
        )
