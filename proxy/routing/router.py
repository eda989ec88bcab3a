"""From the model id a client asked for to the upstream that serves it. Pure."""

import dataclasses
import functools
from collections.abc import Iterable

from proxy.config import Model
from proxy.errors import ModelForbidden, UnknownModel
from proxy.routing.meant import meant
from proxy.routing.model_ids import VENDOR, canonical, canonical_pattern, complete, native

_SHOWN_CHARS = 200
_CACHED_IDS = 4096
_MAX_LISTED = 5


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Route:
    """Where a model is served.

    Attributes:
        upstream: the upstream's name.
        upstream_model: the id to send there.
        model: the catalog entry, a wildcard perhaps.
        canonical: the id asked for, in canonical form; what a key's permissions are compared with.
        aliases: the model's other ids, in canonical form; a key that names one may use the model.
    """

    upstream: str
    upstream_model: str
    model: Model
    canonical: str
    aliases: frozenset[str] = frozenset()


class Router:
    """The catalog, ready for look-up. Exact ids and aliases win over wildcards, longer wildcards over shorter."""

    def __init__(self, models: Iterable[Model]) -> None:
        exact: dict[str, Model] = {}
        wildcards: dict[str, Model] = {}
        for model in models:
            if model.id.endswith("*"):
                wildcards[canonical_pattern(model.id)[:-1]] = model
            else:
                exact.update(dict.fromkeys(map(canonical, (model.id, *model.aliases)), model))
        self._exact = exact
        self._wildcards = sorted(wildcards.items(), key=lambda item: -len(item[0]))
        self._find_short = functools.lru_cache(_CACHED_IDS)(self._find)

    def find(self, model_id: str) -> Route:
        """Find the route of the id a client asked for.

        Raises:
            UnknownModel: not in the catalog.
        """
        # Clients choose the ids: only short ones are kept, so that nobody can fill the memory with them.
        return self._find_short(model_id) if len(model_id) <= _SHOWN_CHARS else self._find(model_id)

    def find_for(self, patterns: tuple[str, ...], model_id: str) -> Route:
        """Find the route of an id for a key that may use these ids and wildcards.

        Raises:
            UnknownModel: not in the catalog; with what was probably meant, of what the key may use.
            ModelForbidden: the key may not use it.
        """
        try:
            route = self.find(model_id)
        except UnknownModel as error:
            usable = (
                each for each in set(self._exact.values()) if permits(patterns, self.find(each.id))
            )
            model = meant(model_id, sorted(usable, key=lambda each: each.id))
            if model is None:
                raise
            raise UnknownModel(
                f"model: {model_id[:_SHOWN_CHARS]}; did you mean {model.id}?"
            ) from error
        if not permits(patterns, route):
            raise ModelForbidden(
                f"this key may not use model: {model_id[:_SHOWN_CHARS]}; it may use {_listed(patterns)}"
            )
        return route

    def can_match(self, pattern: str) -> bool:
        """Return whether an id or wildcard of a key's names anything that is served."""
        if not pattern.endswith("*"):
            try:
                self.find(pattern)
            except UnknownModel:
                return False
            return True
        wanted = canonical_pattern(pattern)[:-1]
        return any(canonical(model.id).startswith(wanted) for model in self._exact.values()) or any(
            prefix.startswith(wanted) or wanted.startswith(prefix) for prefix, _ in self._wildcards
        )

    def _find(self, model_id: str) -> Route:
        wanted = canonical(model_id)
        if (model := self._exact.get(wanted)) is not None:
            own_id = canonical(model.id)
            upstream_model = model.upstream_model or native(model.id)
            aliases = frozenset(map(canonical, model.aliases))
            return Route(model.upstream, upstream_model, model, own_id, aliases)
        for prefix, model in self._wildcards:
            if wanted.startswith(prefix) and len(wanted) > len(prefix):
                pattern = model.upstream_model
                # Not the canonical form, whose characters stand at the same places: some upstreams' ids have dots.
                rest = complete(model_id)[len(prefix) :]
                upstream_model = pattern.replace("*", rest) if pattern else native(wanted)
                return Route(model.upstream, upstream_model, model, wanted)
        raise _unknown(model_id, wanted)


def permits(patterns: tuple[str, ...], route: Route) -> bool:
    """Return whether a key with these ids and wildcards may use a route."""
    is_short = len(route.canonical) <= _SHOWN_CHARS
    return (_permits_short if is_short else _permits)(patterns, route)


def _permits(patterns: tuple[str, ...], route: Route) -> bool:
    return any(
        route.canonical.startswith(canonical(pattern[:-1]))
        if pattern.endswith("*")
        else (name := canonical(pattern)) == route.canonical or name in route.aliases
        for pattern in patterns
    )


_permits_short = functools.lru_cache(_CACHED_IDS)(_permits)


def _listed(patterns: tuple[str, ...]) -> str:
    more = f" and {len(patterns) - _MAX_LISTED} more" if len(patterns) > _MAX_LISTED else ""
    return (", ".join(patterns[:_MAX_LISTED]) or "none") + more


def _unknown(model_id: str, wanted: str) -> UnknownModel:
    shown = model_id[:_SHOWN_CHARS]
    if wanted.startswith(VENDOR):
        return UnknownModel(f"model: {shown}")
    return UnknownModel(
        f"model: {shown}: only {VENDOR} models are served here; other vendors' models need "
        "a chat completions endpoint, which this gateway does not serve"
    )
