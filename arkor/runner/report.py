"""One page about a run, or about two and what tells them apart: self-contained, opens offline.

Nothing on the page is loaded from anywhere, and a content security policy says so to the browser:
it runs the scripts whose hashes the policy has, and no others.
"""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from arkor.client.notices import sdk_version
from arkor.core.differences import Comparison, RunFacts, compare, leaves
from arkor.core.extras import import_extra
from arkor.core.verify import VerifyReport
from arkor.errors import JournalCorruptError
from arkor.runner import report_words as words
from arkor.runner.charts import Curves, figure
from arkor.runner.report_owners import OwnerView, owner_views
from arkor.runner.timeline import Timeline
from arkor.runner.wording import duration
from arkor.store.journal import Journal

if TYPE_CHECKING:
    import jinja2

__all__ = [
    "EXTRA",
    "RunReport",
    "comparison_of",
    "gather",
    "json_for_script",
    "render",
    "render_chart",
    "template_environment",
]

EXTRA: Final = "report"
"""The extra that brings what a page is made with."""

TEMPLATES: Final = "runner/templates/report"

CHART: Final = "chart"

HEADING: Final = 76
"""Pixels that a picture of the chart needs above it."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a page says about one run. `label` tells it from another one on the same page.

    `cut` if records behind those of `timeline` cannot be read.
    """

    timeline: Timeline
    verified: VerifyReport
    label: str = ""
    cut: bool = False

    @property
    def facts(self) -> RunFacts:
        """The run summed up."""
        return self.timeline.facts

    @property
    def config(self) -> Mapping[str, Any]:
        """The options it was asked for with, by their paths; secrets were struck before."""
        return leaves(self.timeline.state.config)

    @property
    def owners(self) -> tuple[OwnerView, ...]:
        """Who had it, in order."""
        return owner_views(self.timeline.owners)

    @property
    def owners_before_gap(self) -> int:
        """After how many of `owners` some are left out; 0 if none are."""
        return len(self.timeline.owners.head) if self.timeline.owners.left_out else 0

    @property
    def thinned(self) -> bool:
        """Whether a curve has fewer points than figures were recorded."""
        return any(not series.exact for series in self.timeline.series.values())


def gather(journal: Journal, id: str, label: str = "") -> RunReport:
    """Verify a run's log and read it, in constant memory. `id` as `Journal.resolve` takes it.

    A log that is broken is read as far as it can be. Raises `JournalError` as `Journal.records`
    does: `RunPrunedError` if the records are gone.
    """
    run_id = journal.resolve(id)
    verified = journal.verify(run_id)
    timeline = Timeline()
    # What came since is not vouched for.
    limit = verified.records if verified.ok else None
    try:
        _read(journal, run_id, timeline, limit)
    except JournalCorruptError:
        if verified.ok:
            raise
        # What was whole is legible, but its last part may be of the page that is not.
        _read(journal, run_id, timeline, verified.records - timeline.state.records)
        return RunReport(timeline, verified, label, cut=True)
    return RunReport(timeline, verified, label)


def _read(journal: Journal, run_id: str, timeline: Timeline, limit: int | None) -> None:
    for record in journal.records(run_id, after=timeline.state.records, limit=limit):
        timeline.add(record)


def comparison_of(a: RunReport, b: RunReport) -> Comparison:
    """What tells two runs apart."""
    return compare(a.facts, b.facts)


def render(runs: Sequence[RunReport], *, now: datetime) -> str:
    """The page about one run, or about two compared. `now` is printed at its foot.

    Raises `ConfigError` naming the extra if Jinja2 or Plotly is not installed.
    """
    drawn = figure([Curves(run.timeline, run.label) for run in runs])
    return _page(
        "page.html",
        drawn,
        title=_title(runs),
        runs=runs,
        comparison=comparison_of(*runs) if len(runs) == 2 else None,
        version=sdk_version(),
        now=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


def render_chart(runs: Sequence[RunReport]) -> tuple[str, int]:
    """A page with nothing but the chart, to make a picture of, and its height in pixels.

    Raises `ConfigError` as `render` does.
    """
    drawn = figure([Curves(run.timeline, run.label) for run in runs])
    page = _page("chart.html", drawn, title=_title(runs), runs=runs)
    return page, int(drawn["layout"]["height"]) + HEADING


def _page(template: str, drawn: Mapping[str, Any], **given: Any) -> str:
    plotly: str = import_extra("plotly.offline", extra=EXTRA).get_plotlyjs()
    scripts = (plotly, _asset("chart.js"))
    return (
        _environment()
        .get_template(template)
        .render(
            policy=_policy(scripts),
            style=_asset("style.css"),
            scripts=scripts,
            figures={f"{CHART}-figure": json_for_script(drawn)},
            chart=CHART,
            **given,
        )
    )


def json_for_script(value: object) -> str:
    """JSON that may stand inside of `<script>`: ASCII, and without a `<` that could end it."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _title(runs: Sequence[RunReport]) -> str:
    names = " and ".join(run.timeline.state.name or run.verified.run_id for run in runs)
    return f"{names} · Arkor"


def _policy(scripts: Sequence[str]) -> str:
    """A policy that lets nothing be loaded, and nothing run but `scripts` (CSP 3, 2.3)."""
    hashes = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


@cache
def _asset(name: str) -> str:
    return (files("arkor") / TEMPLATES / name).read_text(encoding="utf-8")


@cache
def _environment() -> "jinja2.Environment":
    import_extra("jinja2", extra=EXTRA)
    import jinja2

    return template_environment(jinja2.PackageLoader("arkor", TEMPLATES))


def template_environment(loader: "jinja2.BaseLoader") -> "jinja2.Environment":
    """How a page is made of templates, here and in Studio: everything shown is text."""
    import jinja2

    environment = jinja2.Environment(
        loader=loader,
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
    """What a template prints: markup as it is, any other text made harmless to read."""
    return (
        words.shown(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
    )
