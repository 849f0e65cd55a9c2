"""Plotly's own bundle, out of its Python package."""

import re
from functools import cache
from importlib.resources import files
from pathlib import Path

import plotly

__all__ = ["bundle_path", "map_style_id"]


@cache
def bundle_path() -> Path:
    """The file."""
    return Path(str(files(plotly) / "package_data" / "plotly.min.js"))


@cache
def map_style_id() -> str | None:
    """The id of the style that the bundle brings for its maps, if it brings one.

    It does so unless an element of the page has the id. We draw no maps, and our policy has no
    place for such a style.
    """
    found = re.search(
        r'getElementById\("([0-9a-f]{64})"\)', bundle_path().read_text(encoding="utf-8")
    )
    return found and found[1]
