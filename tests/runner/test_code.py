"""Digests of callbacks: of their code, whatever they are, and of nothing else."""

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pytest

from arkor.runner.callbacks import TrainerCallbacks, bind
from arkor.runner.code import describe_callbacks, digest_function, name_of

ROOT = Path(__file__).parents[2]

SOURCE = """
def watch(ctx, limit=2.0):
    total = sum(value for value in (1, 2.5, -0.0) if value in {"a", "b", "c"})
    return f"{total} {limit}"
"""


def made_of(source: str, name: str = "watch", file: str = "a.py") -> Callable[..., Any]:
    names: dict[str, Any] = {}
    exec(compile(source, file, "exec"), names)
    function: Callable[..., Any] = names[name]
    return function


def digest_in_source(source: str, file: str = "a.py") -> str | None:
    return digest_function(made_of(source, file=file))


def test_the_same_source_has_the_same_digest_wherever_it_is() -> None:
    moved = "# a comment\n\n\n" + SOURCE.replace("\n    return", "\n    # why\n\n    return")
    assert digest_in_source(moved, file="/elsewhere/b.py") == digest_in_source(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2.5", "2.6"),
        ("-0.0", "0.0"),
        ("(1,", "(True,"),
        ('"c"', '"d"'),
        ("sum(", "max("),
        ("limit=2.0", "limit=3.0"),
        ("limit=2.0", "limit=None"),
        ("limit=2.0", "limit=0x" + "f" * 5000),  # no decimal that Python would write
        ("limit=2.0", "*, limit=2.0"),
        (" if value in", " if value not in"),
        ("    return", "    raise SystemExit\n    return"),
    ],
)
def test_a_changed_source_has_another_digest(old: str, new: str) -> None:
    assert digest_in_source(SOURCE.replace(old, new)) != digest_in_source(SOURCE)


def test_another_process_finds_the_same_digest() -> None:
    code = (
        "from arkor.runner.code import digest_function\n"
        f"names = {{}}; exec({SOURCE!r}, names)\n"
        "print(digest_function(names['watch']))"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert found == {digest_in_source(SOURCE)}


def test_tracing_changes_no_digest() -> None:
    function = made_of(SOURCE)
    before = digest_function(function)
    tracer = sys.gettrace()
    sys.settrace(lambda *_: None)
    try:
        for _ in range(100):  # until the interpreter has specialised it
            function(None)
    finally:
        sys.settrace(tracer)
    assert digest_function(function) == before


def watch(ctx: object) -> None:
    """Do nothing."""


def look(ctx: object) -> int:
    return 1


def logged(inner: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(inner)
    def outer(*given: Any) -> Any:
        return inner(*given)

    return outer


def bare(inner: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given: inner(*given)


class Probe:
    """A callback set, and callable itself."""

    def __init__(self, secret: str = "") -> None:
        self.secret = secret

    def on_log(self, ctx: object) -> None:
        self.helper()

    def helper(self) -> None:
        raise AssertionError("nothing of the user's runs")

    def __call__(self, ctx: object) -> None:
        self.helper()

    def __repr__(self) -> str:
        raise AssertionError("nothing of the user's runs")

    @property
    def on_event(self) -> None:
        return None


class Better(Probe):
    def helper(self) -> None:
        return None


def test_what_wraps_a_function_does_not_hide_it() -> None:
    wrappers: list[Callable[..., Any]] = [
        lambda f: f,
        logged,
        bare,
        lru_cache,
        lambda f: partial(f, secret="hunter2"),
        lambda f: partial(partial(f)),
        lambda f: bare(logged(partial(f))),
    ]
    for wrap in wrappers:
        assert digest_function(wrap(watch)) not in (None, digest_function(wrap(look)))
        assert digest_function(wrap(watch)) == digest_function(wrap(watch))
    assert digest_function(logged(watch)) != digest_function(watch)


def test_what_is_closed_over_is_no_part_of_it() -> None:
    def closing(secret: str) -> Callable[[object], str]:
        return lambda ctx: secret

    assert digest_function(closing("hunter2")) == digest_function(closing("sesame"))
    assert digest_function(partial(watch, "hunter2")) == digest_function(partial(watch, "sesame"))
    assert digest_in_source(SOURCE.replace("2.0", "'hunter2'")) == digest_in_source(
        SOURCE.replace("2.0", "'sesame'")
    )


def test_a_chain_of_decorators_is_followed_however_long() -> None:
    chain: Callable[..., Any] = watch
    for _ in range(5000):
        chain = bare(chain)
    assert digest_function(chain)


@pytest.mark.parametrize("given", [print, [].append, "x".__str__, object()])
def test_what_has_no_code_in_python_has_no_digest(given: object) -> None:
    assert digest_function(given) is None
    assert name_of(given)


def test_names_say_where_a_function_is_defined() -> None:
    here = __name__
    assert name_of(watch) == f"{here}.watch"
    assert name_of(Better().on_log) == f"{here}.Probe.on_log"
    assert name_of(Better()) == f"{here}.Better"
    assert name_of(Better) == f"{here}.Better"
    assert name_of(partial(watch, "hunter2")) == f"partial({here}.watch)"
    assert name_of(print) == "print"
    assert name_of([].append) == "list.append"
    assert name_of(lambda: None).endswith("<lambda>")


def test_names_of_a_project_are_those_of_its_folders() -> None:
    function = made_of("__name__ = 'arkor_project_7.src.arkor.index'\n" + SOURCE)
    assert name_of(function) == "src.arkor.index.watch"


def described(callbacks: Any) -> dict[str, Any]:
    (bound,) = bind(callbacks)
    return describe_callbacks(bound.name, bound.origin, bound.functions)


def test_a_set_of_functions_is_described() -> None:
    said = described({"on_log": watch, "on_event": print})
    assert said.pop("digest")
    assert said == {
        "name": "main",
        "class": None,
        "functions": {
            "on_event": {"function": "print", "digest": None},
            "on_log": {"function": name_of(watch), "digest": digest_function(watch)},
        },
    }
    same = described(TrainerCallbacks(on_log=watch, name="other"))
    assert same["class"] == "arkor.runner.callbacks.TrainerCallbacks"
    assert same["functions"]["on_log"]["digest"] == digest_function(watch)


def test_an_object_is_described_by_all_of_its_class() -> None:
    one, other = described(Probe("hunter2")), described(Probe("sesame"))
    assert one == other
    assert one["class"] == f"{__name__}.Probe"
    assert one["functions"]["on_log"]["function"] == f"{__name__}.Probe.on_log"
    assert "hunter2" not in str(one)

    better = described(Better())
    assert better["functions"]["on_log"] == one["functions"]["on_log"]
    assert better["digest"] != one["digest"]


def test_no_callbacks_are_described_as_none() -> None:
    assert described(None)["functions"] == {}
