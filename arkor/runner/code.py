"""The code of callbacks, as digests: the same source gives the same, another source another.

What is digested is what runs, the code objects: bytecode, names, constants, and the same of every
function inside. Not where it is: a comment, a moved line or another folder changes nothing.
Another minor version of Python compiles to other bytecode, so digests compare within one.
No code of the user runs here, and no value that a function closes over is looked at.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from inspect import getattr_static
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any, Final, cast

__all__ = ["describe_callbacks", "digest_function", "name_of"]

MADE_UP: Final = "arkor_project_"
"""What the names of a loaded project's modules begin with, before a number of that load."""

PLAIN: Final = (int, float, complex, bool, type(None))
"""Defaults that are digested. A text may be a secret that was read from somewhere."""


def describe_callbacks(
    name: str, origin: type | None, functions: Mapping[str, Callable[..., Any]]
) -> dict[str, Any]:
    """One callback set as JSON: its `name`, its class, and each callback's function and digest.

    `digest` is that of the set: of its callbacks and, where an object of a class was given, of
    all functions of that class and its bases.
    """
    described = {
        callback: {"function": name_of(function), "digest": digest_function(function)}
        for callback, function in sorted(functions.items())
    }
    form = hashlib.sha256()
    for callback, each in described.items():
        _add(form, callback, str(each["digest"]))
    for part in _class_functions(origin):
        _add(form, digest_function(part) or "")
    return {
        "name": name,
        "class": _name_of_class(origin) if origin else None,
        "functions": described,
        "digest": form.hexdigest(),
    }


def name_of(function: object) -> str:
    """The qualified name of what is called: `src.arkor.index.Probe.on_log`."""
    kind = type(function)
    if kind is MethodType:
        return name_of(cast(MethodType, function).__func__)
    if issubclass(kind, partial):
        return f"partial({name_of(_partial_function(function))})"
    if kind is FunctionType or kind is BuiltinFunctionType:
        named = cast(FunctionType, function)
        return _qualified(named.__module__, named.__qualname__)
    if issubclass(kind, type):
        return _name_of_class(cast(type, function))
    return _name_of_class(kind)


def digest_function(function: object) -> str | None:
    """SHA-256 in hex over the code that a call of `function` runs; `None` if none is in Python.

    The code behind a bound method, a `partial`, a decorator and an object with `__call__` is
    found. Defaults count where they are numbers or `None`; the arguments of a `partial`, and
    values that are closed over, do not.
    """
    found = list(_functions_of(function))
    if not found:
        return None
    form = hashlib.sha256()
    for each in found:
        _add(form, *_form_of(each.__code__))
        for default in (*(each.__defaults__ or ()), *(each.__kwdefaults__ or {}).values()):
            _add(form, *(_form_of_constant(default) if type(default) in PLAIN else [""]))
    return form.hexdigest()


def _functions_of(given: object) -> Iterator[FunctionType]:
    """The functions in Python that `given` leads to, each once."""
    seen: set[int] = set()
    left = [given]
    while left:
        each = left.pop()
        if id(each) not in seen:
            seen.add(id(each))
            left.extend(_inside(each))
            if type(each) is FunctionType:
                yield each


def _inside(given: object) -> Iterator[object]:
    """What may be functions, one level further in."""
    kind = type(given)
    if kind is FunctionType:
        # What a decorator has made closes over what it was given.
        inner = map(_content, cast(FunctionType, given).__closure__ or ())
        yield from (each for each in inner if type(each) in (FunctionType, MethodType, partial))
    elif kind in (MethodType, staticmethod, classmethod):
        yield cast(MethodType, given).__func__
    elif kind is property:
        accessors = cast(property, given)
        yield from (accessors.fget, accessors.fset, accessors.fdel)
    elif issubclass(kind, partial):
        yield _partial_function(given)
    elif callable(given) and not issubclass(kind, type):
        # An object with `__call__`, or what functools makes of a function and keeps beside it.
        yield getattr_static(given, "__wrapped__", None)
        yield getattr_static(kind, "__call__", None)


def _class_functions(origin: type | None) -> Iterator[object]:
    for each in _mro(origin) if origin else ():
        for _, value in sorted(_members(each).items()):
            if type(value) in (FunctionType, staticmethod, classmethod, property):
                yield value


def _form_of(code: CodeType) -> Iterator[str | bytes]:
    """What a code object does, as texts and bytes in order."""
    yield f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags}"
    yield code.co_code
    yield code.co_exceptiontable
    for names in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars):
        yield "\0".join(names)
    for constant in code.co_consts:
        yield from _form_of_constant(constant)


def _form_of_constant(constant: object) -> Iterator[str | bytes]:
    kind = type(constant).__name__
    if isinstance(constant, CodeType):
        yield f"{kind} {constant.co_name}"
        yield from _form_of(constant)
    elif isinstance(constant, tuple):
        yield f"{kind} {len(constant)}"
        for item in constant:
            yield from _form_of_constant(item)
    elif isinstance(constant, frozenset):
        # Its order is another one in each process.
        yield f"{kind} {sorted(map(_digest_of_constant, constant))}"
    else:
        # Python writes no int of more than 4300 digits in decimals.
        yield f"{kind} {hex(constant) if isinstance(constant, int) else repr(constant)}"


def _digest_of_constant(constant: object) -> str:
    form = hashlib.sha256()
    _add(form, *_form_of_constant(constant))
    return form.hexdigest()


def _add(form: "hashlib._Hash", *parts: str | bytes) -> None:
    for part in parts:
        content = part if isinstance(part, bytes) else part.encode("utf-8", "surrogatepass")
        form.update(len(content).to_bytes(8, "big") + content)


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # it has not been given a value yet
        return None


def _partial_function(given: object) -> object:
    # Not by its attribute: a subclass may have another meaning of it.
    return partial.func.__get__(given)


def _name_of_class(kind: type) -> str:
    module = _members(kind).get("__module__")
    name = type.__dict__["__qualname__"].__get__(kind)
    return _qualified(module if isinstance(module, str) else None, str(name))


def _qualified(module: str | None, name: str) -> str:
    if module and module.startswith(MADE_UP):
        module = module.partition(".")[2]
    return f"{module}.{name}" if module and module not in ("builtins", "__main__") else name


def _members(kind: type) -> Mapping[str, Any]:
    members: Mapping[str, Any] = type.__dict__["__dict__"].__get__(kind)
    return members


def _mro(kind: type) -> Iterable[type]:
    order: tuple[type, ...] = type.__dict__["__mro__"].__get__(kind)
    return (each for each in order if each is not object)
