"""The models that a request names beside its own: permitted, routed and translated as its own is. Pure."""

from proxy.errors import InvalidRequest, ModelForbidden, UnknownModel
from proxy.protocol.call import Call
from proxy.routing.router import Route, Router

_ANY_MODEL = "*"
_SHOWN_CHARS = 100


def upstream_models(
    call: Call, route: Route, router: Router, patterns: tuple[str, ...]
) -> tuple[str | None, ...]:
    """Return what each model that a call names beside its own is called upstream.

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
    found: list[str | None] = []
    for path, _, model in call.named:
        if model is None:
            if _ANY_MODEL not in patterns:
                raise ModelForbidden(
                    f"{path}: this key may not use every model, so the models must be named in a list"
                )
            found.append(None)
            continue
        other = _find(router, path, model, patterns)
        if other.upstream != route.upstream:
            raise InvalidRequest(
                f"{path}: {model[:_SHOWN_CHARS]} is not served where this request's model is; name one that is"
            )
        found.append(other.upstream_model)
    return tuple(found)


def _find(router: Router, path: str, model: str, patterns: tuple[str, ...]) -> Route:
    try:
        return router.find_for(patterns, model)
    except (UnknownModel, ModelForbidden) as error:
        raise type(error)(f"{path}: {error.message}") from None
