"""`arkor dev`: Studio, the journal's runs in a browser."""

import asyncio
import threading
from typing import Annotated

import typer

from arkor.cli.place import store_home
from arkor.cli.render import note, show

__all__ = ["dev"]


def dev(
    port: Annotated[
        str | None,
        typer.Option(
            "--port",
            "-p",
            metavar="PORT",
            help="Listen at this port, and at no other one.",
            show_default="4000, or the next free one",
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in a browser.")
    ] = False,
) -> None:
    """Serve Studio, the page about this machine's runs, until Ctrl-C.

    It reads the journal, and shows every run also while no backend can be reached. The address
    that is printed opens it in one browser: it has a token that works once. What is started in
    Studio goes on when Studio ends.

    Examples: `arkor dev`, `arkor dev --open --port 4100`
    """
    from arkor.core.extras import import_extra

    for module in ("starlette", "uvicorn", "jinja2", "plotly"):
        import_extra(module, extra="studio")
    from arkor.store.state import project_root
    from arkor.studio.bootstrap import bootstrap
    from arkor.studio.port import listen, wanted_port
    from arkor.studio.server import Serving, serve

    home, root = store_home(), project_root()
    asyncio.run(bootstrap(home, root, note))

    def ready(address: str) -> None:
        show(f"Arkor Studio running on {address}", at_once=True)
        note("the address works once, for one browser; Ctrl-C stops Studio, and no run")
        if open_browser:
            _open(address)

    with listen(None if port is None else wanted_port(port), note) as listener:
        raise typer.Exit(serve(Serving(home, root, note, ready), listener))


def _open(address: str) -> None:
    """Open a browser, or do not: the address is on the screen."""
    import webbrowser

    # Some browsers are waited for, and the page they load is ours to answer meanwhile.
    threading.Thread(target=webbrowser.open, args=(address,), name="browser", daemon=True).start()
