"""An identity provider on a loopback port: authorize, token, rotation; strict about PKCE."""

import base64
import hashlib
import secrets
from urllib.parse import urlencode

from arkor.testing import Answer, Received, ScriptedBackend, ScriptedServer, answer_json


class IdentityProvider(ScriptedServer):
    """Signs in whoever comes, at once. `tamper` changes the query of the way back."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: dict[str, str] = {}
        self.access: list[str] = []
        self.refresh: list[str] = []
        self.code = ""
        self.rotations = True
        self.tamper: dict[str, str] = {}
        self.on("GET", "/authorize", self.authorize)
        self.on("POST", "/oauth/token", self.token)

    @property
    def domain(self) -> str:
        return self.url.removeprefix("http://")

    def authorize(self, request: Received) -> Answer:
        self.asked = dict(request.query)
        self.code = secrets.token_urlsafe(16)
        back = {"code": self.code, "state": self.asked["state"], **self.tamper}
        location = f"{self.asked['redirect_uri']}?{urlencode(back)}"
        return Answer(302, {"location": location}, b"")

    def token(self, request: Received) -> Answer:
        grant = request.json()
        if not self._good(grant):
            said = f"no such grant: {grant.get('code') or grant.get('refresh_token')}"
            return answer_json({"error": "invalid_grant", "error_description": said}, 403)
        self.code = ""
        self.access.append(f"access-token-{len(self.access)}-0123456789")
        answer: dict[str, object] = {"access_token": self.access[-1], "expires_in": 3600}
        if self.rotations:
            self.refresh.append(f"refresh-token-{len(self.refresh)}-0123456789")
            answer["refresh_token"] = self.refresh[-1]
        return answer_json(answer)

    def _good(self, grant: dict[str, str]) -> bool:
        if grant["client_id"] != "client":
            return False
        if grant["grant_type"] == "refresh_token":
            return grant["refresh_token"] == self.refresh[-1]
        digest = hashlib.sha256(grant["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        return (
            grant["code"] == self.code != ""
            and grant["redirect_uri"] == self.asked["redirect_uri"]
            and challenge == self.asked["code_challenge"]
        )


def offering(provider: IdentityProvider, *ports: int) -> ScriptedBackend:
    """A backend whose accounts are the provider's; it takes its newest access token only."""
    backend = ScriptedBackend()
    config = {
        "auth0Domain": provider.domain,
        "clientId": "client",
        "audience": "https://api.example",
        "callbackPorts": list(ports) or [0],
    }
    backend.on("GET", "/v1/auth/cli/config", answer_json(config))

    def me(request: Received) -> Answer:
        if request.headers.get("authorization") != f"Bearer {provider.access[-1]}":
            return answer_json({"error": "expired"}, 401)
        return answer_json({"user": {"id": "u-1", "email": "a@b.example"}, "orgs": [{"slug": "o"}]})

    backend.on("GET", "/v1/me", me)
    return backend
