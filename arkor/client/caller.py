"""What every part of the client's API stands on: the way to the backend, and JSON out of answers."""

from collections.abc import Mapping
from typing import Any

from arkor.client.answers import read_object
from arkor.client.transport import Request, Transport
from arkor.errors import ProtocolError

__all__ = ["Caller", "list_in"]


class Caller:
    """Something that asks the backend over its `transport`."""

    transport: Transport

    async def _ask(self, request: Request) -> dict[str, Any]:
        """The JSON object that a request is answered with. Raises as `CloudApiClient` says."""
        response = await self.transport.send(request)
        quoted = not request.confidential
        return read_object(response, self.transport.secrets, quoted=quoted)


def list_in(value: Mapping[str, Any], key: str) -> list[Any]:
    """The list under `key` of an answer. Raises `ProtocolError` if there is none."""
    items = value.get(key)
    if not isinstance(items, list):
        raise ProtocolError(f"the answer has no list `{key}`")
    return items
