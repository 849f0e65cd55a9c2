"""The cloud API's endpoints: deployments and the keys that open them."""

from typing import Final

from arkor.client.addresses import path_of
from arkor.client.caller import Caller, list_in
from arkor.client.transport import Request
from arkor.core.deployment_keys import DeploymentKey, IssuedKey, parse_issued_key, parse_key
from arkor.core.deployment_rules import check_label
from arkor.core.deployments import (
    Deployment,
    DeploymentChanges,
    NewDeployment,
    parse_deployment,
)
from arkor.core.wire import Scope

__all__ = ["DeploymentCalls"]

_PLACE: Final = ("v1", "endpoints")


class DeploymentCalls(Caller):
    """One coroutine per endpoint of deployments. Each raises as `CloudApiClient` says."""

    async def list_deployments(self, scope: Scope) -> list[Deployment]:
        """The project's deployments, in the backend's order."""
        value = await self._ask(Request("GET", path_of(*_PLACE), scope.to_query()))
        return [parse_deployment(item) for item in list_in(value, "deployments")]

    async def create_deployment(self, scope: Scope, new: NewDeployment) -> Deployment:
        """Make an endpoint, enabled at once.

        `CloudApiError` 409 if its slug is taken, 400 if the slug is reserved.
        """
        request = Request("POST", path_of(*_PLACE), scope.to_query(), json=new.to_wire())
        return parse_deployment((await self._ask(request)).get("deployment"))

    async def get_deployment(self, scope: Scope, deployment_id: str) -> Deployment:
        """One deployment as it is now."""
        request = Request("GET", path_of(*_PLACE, deployment_id), scope.to_query())
        return parse_deployment((await self._ask(request)).get("deployment"))

    async def update_deployment(
        self, scope: Scope, deployment_id: str, changes: DeploymentChanges
    ) -> Deployment:
        """Change a deployment; what `changes` leaves out stays as it is."""
        path, body = path_of(*_PLACE, deployment_id), changes.to_wire()
        value = await self._ask(Request("PATCH", path, scope.to_query(), json=body))
        return parse_deployment(value.get("deployment"))

    async def delete_deployment(self, scope: Scope, deployment_id: str) -> None:
        """Delete a deployment with its keys."""
        path = path_of(*_PLACE, deployment_id)
        await self.transport.send(Request("DELETE", path, scope.to_query()))

    async def list_deployment_keys(self, scope: Scope, deployment_id: str) -> list[DeploymentKey]:
        """The keys of a deployment, revoked ones too, without their plaintext."""
        path = path_of(*_PLACE, deployment_id, "keys")
        # What a backend might say too much must not get into an error either.
        request = Request("GET", path, scope.to_query(), confidential=True)
        return [parse_key(item) for item in list_in(await self._ask(request), "keys")]

    async def create_deployment_key(
        self, scope: Scope, deployment_id: str, label: str
    ) -> IssuedKey:
        """Issue a key. This is the only answer that has its plaintext.

        Raises `ConfigError` unless the label has 1 to 80 characters once it is trimmed. If the
        answer is lost the key may exist: list the keys, and revoke the one that nobody has.
        """
        path, body = path_of(*_PLACE, deployment_id, "keys"), {"label": check_label(label)}
        request = Request("POST", path, scope.to_query(), json=body, confidential=True)
        return parse_issued_key((await self._ask(request)).get("key"))

    async def revoke_deployment_key(self, scope: Scope, deployment_id: str, key_id: str) -> None:
        """Disable a key for ever; it stays in the list. It may take a while to reach the edge."""
        path = path_of(*_PLACE, deployment_id, "keys", key_id)
        await self.transport.send(Request("DELETE", path, scope.to_query()))
