"""Callback sets become named consumers."""

import asyncio
from typing import Any

import pytest

from arkor.core.calls import CALLBACKS
from arkor.errors import ConfigError
from arkor.runner.callbacks import TrainerCallbacks, bind


def note(ctx: object) -> None:
    """Do nothing, as a callback."""


class Watch:
    def on_log(self, ctx: object) -> str:
        return "logged"


class Named(Watch):
    name = "watcher"
    replays = True


def names(*callbacks: object) -> list[str]:
    return [each.name for each in bind(list(callbacks))]


def test_a_single_set_is_called_main() -> None:
    for callbacks in ({"on_log": note}, TrainerCallbacks(on_log=note), Watch()):
        for given in (callbacks, [callbacks], (callbacks,), [None, callbacks]):
            (consumer,) = bind(given)
            assert (consumer.name, consumer.replays) == ("main", False)
            assert list(consumer.functions) == ["on_log"]


def test_a_run_without_callbacks_has_somebody_to_settle_it() -> None:
    for nothing in (None, [], (), [None], {}, TrainerCallbacks()):
        (consumer,) = bind(nothing)
        assert (consumer.name, dict(consumer.functions)) == ("main", {})


def test_of_several_each_has_its_own_name_or_its_classs() -> None:
    assert names(Watch(), TrainerCallbacks(), {}) == ["Watch", "TrainerCallbacks", "dict"]
    assert names(Named(), TrainerCallbacks(name="mail"), {"name": "log"}) == [
        "watcher",
        "mail",
        "log",
    ]
    assert bind(Named())[0].name == "watcher"


def test_a_local_class_has_its_qualified_name() -> None:
    class Local(Watch):
        pass

    assert names(Local(), {})[0].endswith("qualified_name.<locals>.Local")


@pytest.mark.parametrize(
    "pair",
    [(Watch(), Watch()), ({}, {}), (Named(), {"name": "watcher"}), ({"name": "dict"}, {})],
)
def test_one_name_twice_is_refused(pair: tuple[object, object]) -> None:
    with pytest.raises(ConfigError, match="give each a `name`") as caught:
        bind(pair)
    assert caught.value.field == "callbacks"


def test_replays_is_read_from_any_kind_of_set() -> None:
    for callbacks in (Named(), TrainerCallbacks(replays=True), {"replays": True}):
        assert bind(callbacks)[0].replays is True


def test_every_callback_is_known() -> None:
    (consumer,) = bind(dict.fromkeys(CALLBACKS, note))
    assert tuple(consumer.functions) == CALLBACKS
    fields = set(TrainerCallbacks.__dataclass_fields__)
    assert fields == {*CALLBACKS, "name", "replays"}


@pytest.mark.parametrize("key", ["on_logs", "onLog", "on_step", "callback", 3])
def test_an_unknown_key_is_named(key: Any) -> None:
    with pytest.raises(ConfigError, match=f"callbacks.{key} is not a callback") as caught:
        bind({key: note})
    assert caught.value.field == f"callbacks.{key}"


@pytest.mark.parametrize("wrong", ["text", 7, [note]])
def test_what_cannot_be_called_is_named(wrong: Any) -> None:
    for callbacks in ({"on_log": wrong}, TrainerCallbacks(on_log=wrong)):
        with pytest.raises(ConfigError, match="callable") as caught:
            bind(callbacks)
        assert caught.value.field == "callbacks.on_log"


@pytest.mark.parametrize("wrong", [object(), note, "on_log", 3])
def test_a_set_without_any_callback_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match="has none of on_started"):
        bind(wrong)


def test_a_class_in_place_of_its_instance_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"give Watch\(\)"):
        bind(Watch)


def test_a_name_must_be_a_text() -> None:
    with pytest.raises(ConfigError, match="text") as caught:
        bind({"name": 7, "on_log": note})
    assert caught.value.field == "callbacks.name"


def test_plain_and_async_functions_and_methods_are_called_alike() -> None:
    seen: list[tuple[str, object]] = []

    async def later(ctx: object) -> None:
        await asyncio.sleep(0)
        seen.append(("async", ctx))

    class Method:
        async def on_log(self, ctx: object) -> None:
            seen.append(("method", ctx))

    context: Any = object()
    for given in ({"on_log": later}, {"on_log": lambda ctx: seen.append(("plain", ctx))}, Method()):
        (consumer,) = bind(given)
        asyncio.run(consumer.call("on_log", context))
    assert seen == [("async", context), ("plain", context), ("method", context)]


def test_what_a_callback_raises_is_that_very_exception() -> None:
    error = LookupError("mine")

    def fail(ctx: object) -> None:
        raise error

    (consumer,) = bind({"on_log": fail})
    context: Any = object()
    with pytest.raises(LookupError) as caught:
        asyncio.run(consumer.call("on_log", context))
    assert caught.value is error
