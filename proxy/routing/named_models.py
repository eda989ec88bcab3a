"""The models that a request names beside its own: permitted, routed and translated as its own is. Pure."""

import dataclasses
from collections.abc import Sequence

from proxy.errors import InvalidRequest, ModelForbidden, UnknownModel
from proxy.protocol.call import Call
from proxy.routing.router import Route, Router, route_by

_ANY_MODEL = "*"
_MAX_QUOTED_CHARS = 100


def with_named(call: Call, route: Route, router: Router, patterns: tuple[str, ...]) -> Route:
    """Return the route of a call that knows what each model is called there that the call names beside its own.

    Args:
        call: names them.
        route: of its own model.
        router: finds the others'.
        patterns: the ids and wildcards that the key may use.

    Raises:
        ModelForbidden: the key may not use one, or not every one and the API is to choose.
        UnknownModel: one is not in the catalog.
        InvalidRequest: one is not where the call's own model is, or no id.
    """
    others: list[tuple[str, str, Route | None]] = []
    for path, _, model in call.named:
        if model is None:
            if _ANY_MODEL not in patterns:
                raise ModelForbidden(
                    f"{path}: this key may not use every model, so the models must be named in a list"
                )
            others.append((path, "", None))
        else:
            others.append((path, model, _find(router, path, model, patterns)))
    found = [each for choice in route.ways if (each := _add_names(choice, others)) is not None]
    if not found:
        path, model = _elsewhere(route, others)
        raise InvalidRequest(
            f"{path}: {model[:_MAX_QUOTED_CHARS]} is not served where this request's model is; name one that is"
        )
    return route_by(found)


def _add_names(choice: Route, others: Sequence[tuple[str, str, Route | None]]) -> Route | None:
    """Return the route by one upstream with the other models' ids there; None: it does not serve all of them."""
    names: list[str | None] = []
    for _, _, other in others:
        there = None if other is None else other.by(choice.upstream)
        if other is not None and there is None:
            return None
        names.append(None if there is None else there.upstream_model)
    return dataclasses.replace(choice, named=tuple(names))


def _elsewhere(route: Route, others: Sequence[tuple[str, str, Route | None]]) -> tuple[str, str]:
    """Return path and id of the first other model that is not served where a route leads."""
    return next(
        ((path, model) for path, model, other in others if other and not other.by(route.upstream)),
        others[-1][:2],
    )


def _find(router: Router, path: str, model: str, patterns: tuple[str, ...]) -> Route:
    try:
        return router.find_for(patterns, model)
    except (UnknownModel, ModelForbidden) as error:
        raise type(error)(f"{path}: {error.message}") from None
