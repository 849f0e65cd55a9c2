"""`arkor link` and `arkor unlink`: which project at the backend a folder's runs go to."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arkor.cli.arguments import Json
from arkor.cli.choices import may_ask
from arkor.cli.door import Exit
from arkor.cli.place import store_home
from arkor.cli.render import note, show, show_json
from arkor.core.wire import Scope
from arkor.errors import ConfigError, ProjectStateError

if TYPE_CHECKING:
    from arkor.runner.linking import Account, Choice

__all__ = ["link", "unlink"]


def link(
    ctx: typer.Context,
    project: Annotated[
        str | None,
        typer.Argument(
            metavar="[ORG/PROJECT]",
            help="The project; without it, choose from those within reach.",
            show_default=False,
        ),
    ] = None,
    create: Annotated[
        bool, typer.Option("--create", help="Make the project if it is not there.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say which project at the backend this folder's runs go to.

    Without a name it asks; where nobody can be asked, the only project within reach is taken.
    Exits 0 if it is linked, 1 if the identity does not see the project, 2 if none was chosen,
    4 if the backend cannot be reached or nobody is signed in.

    Examples: `arkor link acme/triage`, `arkor link acme/new-one --create`, `arkor link`
    """
    from arkor.runner.linking import find_account, link_project
    from arkor.runner.scope import linked_project, parse_scope
    from arkor.store.state import project_root

    root, home = project_root(), store_home()
    wished = None if project is None else parse_scope(project, "ORG/PROJECT")
    account = find_account(home)
    asking = may_ask(ctx)
    try:
        choice = (
            _pick(account, root, asking=asking)
            if wished is None
            else _find(account, wished, root, create=create, asking=asking)
        )
    except ProjectStateError as error:
        note(f"error: {error}")
        raise typer.Exit(Exit.NO) from error
    before = linked_project(root, home)
    link_project(choice, root, home)
    _say(root, choice, as_json=as_json)
    scope = Scope(choice.org_slug, choice.slug)
    if before and before.scope != scope:
        note(f"before it was {before.scope.org_slug}/{before.scope.project_slug} ({before.place})")
    now = linked_project(root, home)
    if now and now.scope != scope:
        note(f"{now.scope.org_slug}/{now.scope.project_slug} wins over it: {now.place}")


def unlink(
    force: Annotated[
        bool,
        typer.Option("--force", "-f", help="Remove a `state.json` of the TypeScript tools too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Forget which project this folder's runs go to. The project itself stays.

    Exits 1 if the folder is still linked: by ARKOR_PROJECT, or by a file of the TypeScript
    tools, which only --force removes.

    Example: `arkor unlink`
    """
    from arkor.runner.scope import linked_project
    from arkor.store.state import delete_state, project_root, state_path

    root, home = project_root(), store_home()
    gone = delete_state(root, home)
    file = state_path(root, home)
    if force and file.name == "state.json":
        file.unlink(missing_ok=True)
        gone = True
    left = linked_project(root, home)
    if as_json:
        show_json({"projectRoot": str(root), "unlinked": gone and left is None})
    if left is not None:
        how = "" if left.place != str(file) else "; `arkor unlink --force` removes that file"
        note(
            f"{root} is linked to {left.scope.org_slug}/{left.scope.project_slug} ({left.place}){how}"
        )
        raise typer.Exit(Exit.NO)
    note(f"{root} is linked to no project" + (" any more" if gone else ""))


def _find(account: "Account", scope: Scope, root: Path, *, create: bool, asking: bool) -> "Choice":
    """The project of that scope, made if that is wished."""
    found = asyncio.run(account.find(scope))
    if found is not None:
        return found
    name = f"{scope.org_slug}/{scope.project_slug}"
    if not create and not (
        asking and typer.confirm(f"There is no {name}. Make it?", default=False, err=True)
    ):
        raise ProjectStateError(
            f"this identity sees no project {name}; `arkor link {name} --create` makes it"
        )
    return asyncio.run(account.create(scope, root.name or scope.project_slug))


def _pick(account: "Account", root: Path, *, asking: bool) -> "Choice":
    """The project that is chosen from those within reach, or a new one after the folder."""
    choices = asyncio.run(account.choices())
    if not asking:
        if len(choices) == 1:
            return choices[0]
        raise ConfigError(
            "nobody can be asked which project; name it: "
            + (
                ", ".join(f"`arkor link {each}`" for each in choices[:10]) or "ORG/PROJECT --create"
            ),
            field="ORG/PROJECT",
        )
    new = _new_ones(account, root, {str(each) for each in choices})
    for number, each in enumerate(choices, 1):
        note(f"{number:>3}  {each}  {each.name}")
    for number, scope in enumerate(new, len(choices) + 1):
        note(f"{number:>3}  {scope.org_slug}/{scope.project_slug}  (new)")
    total = len(choices) + len(new)
    if not total:
        raise ProjectStateError("this identity sees no organisation; `arkor login` signs in anew")
    number = _number(total)
    if number <= len(choices):
        return choices[number - 1]
    return asyncio.run(account.create(new[number - len(choices) - 1], root.name or "project"))


def _new_ones(account: "Account", root: Path, there: set[str]) -> list[Scope]:
    """In each organisation a project after the folder, where there is none yet."""
    from arkor.runner.scope import slug_of

    slug = slug_of(str(root))
    orgs = asyncio.run(account.organisations())
    return [Scope(org, slug) for org in orgs if f"{org}/{slug}" not in there]


def _number(total: int) -> int:
    """The number that somebody chooses, from 1 to `total`."""
    while True:
        number: int = typer.prompt("Project", type=int, default=1, err=True)
        if 1 <= number <= total:
            return number


def _say(root: Path, choice: "Choice", *, as_json: bool) -> None:
    if as_json:
        show_json(
            {
                "projectRoot": str(root),
                "orgSlug": choice.org_slug,
                "projectSlug": choice.slug,
                "projectId": choice.id,
            }
        )
    else:
        show(f"Linked {root} to {choice}")
