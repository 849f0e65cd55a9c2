"""The wire: the cloud API, signing in, and following a job's event stream."""

import sys

# httpx brings its own command line, and with it rich and pygments, wherever those are installed.
# It does without if that module cannot be imported, which `None` in `sys.modules` says.
if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    try:
        import httpx  # noqa: F401
    finally:
        del sys.modules["httpx._main"]
