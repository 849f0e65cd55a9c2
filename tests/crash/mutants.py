"""Callbacks in every way slightly wrong, and in some ways merely written otherwise."""

import ast
import random
from collections.abc import Iterator
from typing import Any

SOURCE = '''
async def on_log(ctx):
    await ctx.once("seen", str, ctx.step)
    if ctx.step % 2:
        await ctx.once("odd", max, ctx.step, 7)


async def on_checkpoint(ctx):
    """Keep a sample, and ask twice."""
    await ctx.once("sample", sorted, ["b", "a"], reverse=True)
    await ctx.infer([{"role": "user", "content": "hello?"}], max_tokens=5)
    await ctx.once("upload", str.upper, "adapter")
    await ctx.infer([{"role": "user", "content": "and now?"}], temperature=0.5)


async def on_completed(ctx):
    await ctx.once("mail", dict, to="me", subject="done")
    await ctx.once("page", dict, to="you")
'''
EFFECTS = ("once", "infer")


def callbacks(source: str) -> dict[str, Any]:
    """The functions that a source defines."""
    scope: dict[str, Any] = {}
    exec(compile(source, "<callbacks>", "exec"), scope)
    return {name: each for name, each in scope.items() if name.startswith("on_")}


def mutants() -> Iterator[tuple[str, str]]:
    """Each thing that can be wrong with SOURCE, in one place: its name, and the source."""
    for number in range(len(_effects(ast.parse(SOURCE)))):
        yield f"effect {number} removed", _edited(number, lambda body, at: body.pop(at))
        yield f"effect {number} added", _edited(number, _add)
        yield f"effect {number} asked later", _edited(number, _swap)
        if _key(number):
            yield f"effect {number} with another key", _with_argument(number, 0)
        for place in range(1 if _key(number) else 0, _arguments(number)):
            yield f"effect {number} with another argument {place}", _with_argument(number, place)


def variants(seed: int, count: int) -> Iterator[str]:
    """SOURCE, written otherwise: comments, blank lines, indentation, quotes, brackets."""
    dice = random.Random(seed)
    yield ast.unparse(ast.parse(SOURCE))
    yield SOURCE.replace("    ", "\t")
    yield SOURCE.replace("\n", "\r\n")
    yield SOURCE.replace("(ctx)", "(  ctx, )").replace('"', "'").replace("'''", '"""')
    lines = SOURCE.split("\n")
    for _ in range(count):
        edited = []
        for line in lines:
            edited += ["# " + "because " * dice.randrange(4)] * dice.randrange(2)
            edited += [" " * dice.randrange(9)] * dice.randrange(2)
            edited.append(line + "  # so it is" * dice.randrange(2) if '"""' not in line else line)
        yield "\n".join(edited)


def _effects(tree: ast.Module) -> list[tuple[list[ast.stmt], int]]:
    """The statements that are effects: the body each stands in, and its place there."""
    bodies = [
        body
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef | ast.If)
        for body in [node.body]
    ]
    return [
        (body, place)
        for body in bodies
        for place, statement in enumerate(body)
        if _call(statement) is not None
    ]


def _call(statement: ast.stmt) -> ast.Call | None:
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Await):
        call = statement.value.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            return call if call.func.attr in EFFECTS else None
    return None


def _edited(number: int, edit: Any) -> str:
    tree = ast.parse(SOURCE)
    body, place = _effects(tree)[number]
    edit(body, place)
    if not body:
        body.append(ast.Pass())
    return ast.unparse(ast.fix_missing_locations(tree))


def _add(body: list[ast.stmt], place: int) -> None:
    body.insert(place, ast.parse('await ctx.once("new", str)').body[0])


def _swap(body: list[ast.stmt], place: int) -> None:
    """Ask for it after the next statement, or, where it is the last, before the one before it."""
    other = place + 1 if place + 1 < len(body) else place - 1
    if other < 0:  # alone in its body: it is asked for twice, under two names
        _add(body, place)
    else:
        body[place], body[other] = body[other], body[place]


def _key(number: int) -> bool:
    body, place = _effects(ast.parse(SOURCE))[number]
    call = _call(body[place])
    return call is not None and isinstance(call.func, ast.Attribute) and call.func.attr == "once"


def _constants(call: ast.Call) -> list[ast.Constant]:
    return [node for node in ast.walk(call) if isinstance(node, ast.Constant)]


def _arguments(number: int) -> int:
    body, place = _effects(ast.parse(SOURCE))[number]
    call = _call(body[place])
    return len(_constants(call)) if call else 0


def _with_argument(number: int, place: int) -> str:
    def edit(body: list[ast.stmt], at: int) -> None:
        call = _call(body[at])
        assert call is not None
        constant = _constants(call)[place]
        constant.value = _other(constant.value)

    return _edited(number, edit)


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case str():
            return f"{value}!"
    return value + 1
