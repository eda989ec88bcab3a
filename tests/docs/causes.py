"""Every word that the code can put into `cause` of an access line, as the source has it."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from proxy import errors

PACKAGE = Path(errors.__file__).parent


def _texts(node: ast.expr) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def _of_assignment(target: ast.expr, value: ast.expr) -> Iterator[str]:
    """Give what a name or an attribute `cause` is set to, be it among others."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=True):
            yield from _of_assignment(one, its)
    elif getattr(target, "id", getattr(target, "attr", None)) == "cause":
        yield from _texts(value)


def _of_call(call: ast.Call) -> Iterator[str]:
    """Give the argument `cause` of a call that makes an error."""
    made = getattr(errors, getattr(call.func, "id", getattr(call.func, "attr", "")), None)
    if inspect.isclass(made) and issubclass(made, errors.ProxyError):
        parameters = list(inspect.signature(made).parameters)
        given = dict(zip(parameters, call.args, strict=False))
        given |= {each.arg: each.value for each in call.keywords if each.arg is not None}
        if "cause" in given:
            yield from _texts(given["cause"])


def _of(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _of_assignment(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _of_assignment(target, value)
        case ast.Call():
            yield from _of_call(node)
        case ast.ClassDef(name="Cause", body=body):
            for statement in body:
                if isinstance(statement, ast.Assign):
                    yield from _texts(statement.value)
        case _:
            pass


def causes() -> set[str]:
    """List the words."""
    return {
        word
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for word in _of(node)
    }
