"""Pages made of templates: every text in them is escaped, and no script stands inside of one."""

from functools import cache
from typing import Any, Final

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from arkor.client.notices import sdk_version
from arkor.runner import report_words as words
from arkor.runner.report import TEMPLATES as REPORT
from arkor.runner.wording import duration
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
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [
                jinja2.PackageLoader("arkor", "studio/templates"),
                # The parts of a report are parts of a run's page.
                jinja2.PrefixLoader({"report": jinja2.PackageLoader("arkor", REPORT)}),
            ]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "brief": words.brief,
        "count": words.count,
        "duration": duration,
        "figure": words.figure,
        "json": words.json_text,
        "metric": words.metric,
        "plural": words.plural,
        "short": words.short,
        "when": words.when,
    }
    return environment


def _shown(value: object) -> object:
    """Markup as it is; of any other text, what would reorder or hide its neighbours is shown."""
    return words.shown(value) if isinstance(value, str) and not isinstance(value, Markup) else value
