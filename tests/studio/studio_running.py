"""A Studio that listens on a port of this machine."""

import socket
import threading
from pathlib import Path

import uvicorn
from studio_app import access

from arkor.studio import create_app
from arkor.studio.access import Access

__all__ = ["Running"]


class Running:
    """Studio of one home, in a thread of its own; it can be stopped and started again."""

    def __init__(self, home: Path, project_root: Path) -> None:
        self.home = home
        self.access: Access = access()
        self._root = project_root
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        self.app = create_app(home=self.home, project_root=self._root, access=self.access)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        # Connections are taken from now on, and answered as soon as the server is there.
        listener.listen()
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],))
        self._thread.start()

    def stop(self) -> None:
        self.app.state.studio.closing.set()
        self._server.should_exit = True
        self._thread.join()
        self.app.state.studio.journal.close()
