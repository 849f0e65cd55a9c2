"""`arkor login` and `arkor logout`: who this machine is to the backend."""

import asyncio
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arkor.cli.arguments import Json
from arkor.cli.choices import may_ask
from arkor.cli.door import Exit
from arkor.cli.place import store_home
from arkor.cli.render import note, show, show_json
from arkor.errors import CloudApiError, ConfigError

if TYPE_CHECKING:
    from arkor.client.auth import CliConfig

__all__ = ["login", "logout"]

KINDS = ("anonymous", "oauth")


def login(
    context: typer.Context,
    oauth: Annotated[bool, typer.Option("--oauth", help="With an account, in a browser.")] = False,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="With a new identity that needs no account.")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="With an access token from standard input.")
    ] = False,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Print the address; open no browser.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Sign in: with an account in the browser, anonymously, or with an access token.

    Without an option you are asked; where nobody can be asked, it is anonymously. What is stored
    already is replaced once the new sign-in has worked. An access token from standard input is
    tried first, and stored without a refresh token: it is good until it expires.

    Examples: `arkor login`, `arkor login --oauth --no-browser`,
    `arkor login --token-stdin < token.txt`
    """
    flags = {"--oauth": oauth, "--anonymous": anonymous, "--token-stdin": token_stdin}
    given = [flag for flag, on in flags.items() if on]
    if len(given) > 1:
        raise ConfigError(f"Pick one of {' / '.join(given)}, not both")
    home, address = store_home(), _address()
    if token_stdin:
        made = _with_token(home, address)
    elif anonymous:
        made = _anonymously(home, address, persistence=False)
    else:
        made = _chosen(home, address, oauth=oauth, ask=may_ask(context), browser=not no_browser)
    if as_json:
        facts = {"anonymousId": made.anonymous_id, "orgSlug": made.org_slug}
        show_json({"backend": address, "kind": made.kind, **facts})
    else:
        show(f"Signed in at {address} {made.how}.")
    if os.environ.get("ARKOR_TOKEN"):
        note("note: ARKOR_TOKEN is set, and wins over what is stored")


@dataclass(frozen=True, slots=True)
class _SignedIn:
    """Which kind of identity was stored, and in words how; the rest is an anonymous one's."""

    kind: str
    how: str
    anonymous_id: str | None = None
    org_slug: str | None = None


def logout(
    context: typer.Context,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not ask.")] = False,
) -> None:
    """Forget who this machine is: remove the stored credentials.

    The tokens are not revoked. A folder that is linked to a project stays so: at a terminal you
    are asked whether to unlink this one. Exits 1 if you decline to sign out.

    Examples: `arkor logout`, `arkor logout --force`
    """
    from arkor.runner.sign_in import sign_out
    from arkor.store.credentials import credentials_path

    home = store_home()
    if not credentials_path(home).exists():
        note("No credentials on file.")
        return
    anonymous = _is_anonymous(home)
    warning = "An anonymous identity cannot be restored. " if anonymous else ""
    if force:
        if warning:
            note(f"warning: {warning.strip()}")
    elif not may_ask(context):
        raise ConfigError(
            f"nobody can be asked whether to remove {credentials_path(home)}, so it was kept; "
            "`arkor logout --force` removes it"
        )
    elif not typer.confirm(f"{warning}Sign out?", default=False, err=True):
        note("Aborted.")
        raise typer.Exit(Exit.NO)
    sign_out(home)
    show("Signed out.")
    if os.environ.get("ARKOR_TOKEN"):
        note("note: ARKOR_TOKEN is still set, and still used")
    _leave_project(home, ask=not force and may_ask(context), default=anonymous)


def _leave_project(home: Path, *, ask: bool, default: bool) -> None:
    """Offer to unlink this folder: the next identity may not be let into its project."""
    from arkor.store.paths import journal_path
    from arkor.store.state import delete_state, project_root, read_state, state_path

    root = project_root()
    state = read_state(root, home)
    if state is None:
        return
    linked = f"{root} is linked to {state.org_slug}/{state.project_slug}"
    ours = state_path(root, home) == journal_path(home)
    ask = ask and ours
    if ask and typer.confirm(f"{linked}. Unlink it too?", default=default, err=True):
        delete_state(root, home)
        note(f"{root} is linked to no project any more")
        return
    how = "arkor unlink" if ours else "arkor unlink --force"
    note(f"note: {linked} still, which another identity may not be let into; `{how}` unlinks it")


def _address() -> str:
    from arkor.runner.identity import default_arkor_cloud_api_url
    from arkor.runner.local import LOCAL
    from arkor.runner.settings import load_settings

    address = load_settings().backend
    if address == LOCAL:
        raise ConfigError(
            "the embedded backend (`local`) needs no sign-in; ARKOR_CLOUD_API_URL names another"
        )
    return default_arkor_cloud_api_url() if address is None else address


def _chosen(home: Path, address: str, *, oauth: bool, ask: bool, browser: bool) -> _SignedIn:
    config = _config(address, needed=oauth)
    if not config or not config.oauth:
        if oauth:
            raise ConfigError(
                f"OAuth is not configured at {address}; use `arkor login --anonymous`"
            )
        note(f"{address} offers no sign-in with an account; signing in anonymously")
        return _anonymously(home, address, persistence=False)
    if oauth or (ask and _pick() == "oauth"):
        return _with_oauth(home, address, config, browser=browser)
    return _anonymously(home, address, persistence=True)


def _config(address: str, *, needed: bool) -> "CliConfig | None":
    from arkor.client.auth import cli_config

    try:
        return asyncio.run(cli_config(address))
    except CloudApiError as error:
        if needed or error.status != 404:
            raise
        return None  # a backend without accounts has no such endpoint


def _pick() -> str:
    while True:
        said = typer.prompt(f"Sign in ({' or '.join(KINDS)})", default=KINDS[0], err=True)
        found = [kind for kind in KINDS if said and kind.startswith(said.strip().lower())]
        if found:
            return found[0]
        note(f"there is no {said!r}")


def _with_oauth(home: Path, address: str, config: "CliConfig", *, browser: bool) -> _SignedIn:
    from arkor.runner.sign_in import sign_in_with_oauth

    if os.environ.get("CI"):
        raise ConfigError(
            "CI runners can't complete a sign-in in a browser (CI is set); use --anonymous, "
            "--token-stdin or ARKOR_TOKEN"
        )

    def on_url(url: str) -> None:
        note(f"Browser: {url}")
        if browser:
            _open(url)

    asyncio.run(sign_in_with_oauth(home, address, config, on_url))
    return _SignedIn("oauth", "with your account")


def _open(url: str) -> None:
    """Open a browser, or do not: the address is on the screen."""
    import threading
    import webbrowser

    # Some browsers are waited for, and the page they load is ours to answer meanwhile.
    threading.Thread(target=webbrowser.open, args=(url,), name="browser", daemon=True).start()


def _anonymously(home: Path, address: str, *, persistence: bool) -> _SignedIn:
    from arkor.runner.sign_in import sign_in_anonymously
    from arkor.store.credentials import credentials_path

    made = asyncio.run(sign_in_anonymously(home, address))
    note(f"Whoever has {credentials_path(home)} is this identity: keep the file to keep it.")
    if persistence:
        note(
            "warning: nobody can restore it once that file is lost; `arkor login --oauth` signs "
            "in with an account, which stays yours"
        )
    how = f"as {made.anonymous_id}, in the organisation {made.org_slug}"
    return _SignedIn("anonymous", how, made.anonymous_id, made.org_slug)


def _with_token(home: Path, address: str) -> _SignedIn:
    from arkor.runner.sign_in import sign_in_with_token

    if sys.stdin.isatty():
        raise ConfigError("--token-stdin reads the token from a pipe or a file, not from the keys")
    try:
        asyncio.run(sign_in_with_token(home, address, sys.stdin.read(64 * 1024).strip()))
    except CloudApiError as error:
        if error.status not in (401, 403):
            raise
        note(f"error: {address} refuses this token ({error.message}); nothing was stored")
        raise typer.Exit(Exit.ENVIRONMENT) from error
    return _SignedIn("token", "with an access token, until it expires")


def _is_anonymous(home: Path) -> bool:
    from arkor.errors import CredentialsError
    from arkor.store.credentials import AnonymousCredentials, read_credentials

    try:
        return isinstance(read_credentials(home), AnonymousCredentials)
    except CredentialsError:
        return False  # damaged: removing it is what the person is here for
