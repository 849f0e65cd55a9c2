"""Pages made of templates: every text in them is escaped, and no script stands inside of one."""

from functools import cache
from typing import Any, Final

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from arkor.client.notices import sdk_version
from arkor.runner.report import TEMPLATES as REPORT
from arkor.runner.report import template_environment
from arkor.studio.state import studio_of

__all__ = ["NAVIGATION", "render"]

NAVIGATION: Final = (
    ("Overview", "/"),
    ("Runs", "/runs"),
    ("Playground", "/playground"),
    ("Endpoints", "/endpoints"),
)
"""The pages that every page leads to: label and address."""


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """The page of `template`, which extends `layout.html`, with `context` in it.

    Besides `context` a template has `studio`, `request`, `navigation`, `here` (the address of
    the tab that is open) and `version`.
    """
    text = (
        _environment()
        .get_template(template)
        .render(
            request=request,
            studio=studio_of(request),
            navigation=NAVIGATION,
            here=_tab(request.url.path),
            version=sdk_version(),
            **context,
        )
    )
    return HTMLResponse(text, status)


def _tab(path: str) -> str:
    return "/" + path.strip("/").partition("/")[0]


@cache
def _environment() -> jinja2.Environment:
    # The parts of a report are parts of a run's page.
    report = jinja2.PrefixLoader({"report": jinja2.PackageLoader("arkor", REPORT)})
    own = jinja2.PackageLoader("arkor", "studio/templates")
    return template_environment(jinja2.ChoiceLoader([own, report]))
