"""The embedded backend with the workers of this folder. Arguments: home, options as JSON."""

import json
import sys
from pathlib import Path

from arkor.backend.server import serve
from arkor.backend.service import BackendOptions

HERE = Path(__file__).parent
COMMANDS = {
    "train_command": (sys.executable, str(HERE / "trainer.py")),
    "chat_command": (sys.executable, str(HERE / "chatter.py")),
}

if __name__ == "__main__":
    given = json.loads(sys.argv[2]) if len(sys.argv) > 2 else {}
    sys.exit(serve(Path(sys.argv[1]), options=BackendOptions(**COMMANDS | given)))
