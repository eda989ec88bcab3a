"""From the model id a client asked for to the upstream that serves it. Pure."""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

from proxy.config import Model, Pool, Upstream
from proxy.errors import ModelForbidden, UnknownModel
from proxy.routing.meant import meant
from proxy.routing.model_ids import (
    VENDOR,
    OwnIds,
    canonical,
    canonical_pattern,
    complete,
    native,
)

_MAX_QUOTED_CHARS = 200
# Clients choose the ids: only short ones are kept, so that nobody can fill the memory with them.
_MAX_CACHED_CHARS = 200
_CACHED_IDS = 4096
_MAX_LISTED = 5
_ANY_ID = OwnIds()


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Route:
    """Where a model is served.

    Attributes:
        upstream: the upstream's name.
        upstream_model: the id to send there.
        model: the catalog entry, a wildcard perhaps.
        canonical: the id asked for, in canonical form; what a key's permissions are compared with.
        aliases: the model's other ids, in canonical form; a key that names one may use the model.
        native: the id by which the model's maker knows it, and price lists do.
        pool: that the model names; None: it names an upstream.
        choices: of a pool in which several serve the model, the route by each of them, by its upstream's name; this one
            is the first of them. Else empty.
        named: what the other models that a request names are called there; None: as here.
    """

    upstream: str
    upstream_model: str
    model: Model
    canonical: str
    aliases: frozenset[str] = frozenset()
    native: str = ""
    pool: str | None = None
    choices: Mapping[str, "Route"] = dataclasses.field(default_factory=dict)
    named: tuple[str | None, ...] = ()

    @property
    def ways(self) -> "Sequence[Route]":
        """The route by each upstream that serves the model."""
        return tuple(self.choices.values()) or (self,)

    def by(self, upstream: str) -> "Route | None":
        """Return the route by one upstream; None: it does not serve the model, or is in another place."""
        return self if upstream == self.upstream else self.choices.get(upstream)


def route_by(ways: Sequence[Route]) -> Route:
    """Return the route that has these ways, one at the least, in their order."""
    if len(ways) == 1:
        return ways[0]
    return dataclasses.replace(ways[0], choices={each.upstream: each for each in ways})


class Router:
    """The catalog, ready for look-up. Exact ids and aliases win over wildcards, longer wildcards over shorter."""

    def __init__(
        self,
        models: Iterable[Model],
        upstreams: Iterable[Upstream] = (),
        pools: Iterable[Pool] = (),
    ) -> None:
        self._own_ids = {each.name: OwnIds(each.model_ids) for each in upstreams}
        self._members = {pool.name: _in_order(pool) for pool in pools}
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
        return (
            self._find_short(model_id)
            if len(model_id) <= _MAX_CACHED_CHARS
            else self._find(model_id)
        )

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
                f"model: {model_id[:_MAX_QUOTED_CHARS]}; did you mean {model.id}?"
            ) from error
        if not permits(patterns, route):
            raise ModelForbidden(
                f"this key may not use model: {model_id[:_MAX_QUOTED_CHARS]}; it may use {_join_patterns(patterns)}"
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
            asked, sent = canonical(model.id), model.upstream_model or native(model.id)
            aliases = frozenset(map(canonical, model.aliases))
            found = self._route_of(model, sent, asked, aliases)
            if found is not None:
                return found
        for prefix, model in self._wildcards:
            if wanted.startswith(prefix) and len(wanted) > len(prefix):
                pattern = model.upstream_model
                # Not the canonical form, whose characters stand at the same places: some upstreams' ids have dots.
                rest = complete(model_id)[len(prefix) :]
                sent = pattern.replace("*", rest) if pattern else native(wanted)
                found = self._route_of(model, sent, wanted, frozenset())
                if found is not None:
                    return found
        raise _unknown(model_id, wanted)

    def _route_of(
        self, model: Model, sent: str, asked: str, aliases: frozenset[str]
    ) -> Route | None:
        """Return the route of an entry; None: nothing of what is to serve it knows the model."""
        pool = model.upstream if model.upstream in self._members else None
        choices: dict[str, Route] = {}
        for upstream in self._members.get(model.upstream, (model.upstream,)):
            own_id = self._own_ids.get(upstream, _ANY_ID).own(sent)
            if own_id is not None:
                choices[upstream] = Route(upstream, own_id, model, asked, aliases, sent, pool)
        if not choices:
            return None
        first = next(iter(choices.values()))
        return dataclasses.replace(first, choices=choices) if len(choices) > 1 else first


def _in_order(pool: Pool) -> tuple[str, ...]:
    return tuple(
        member.upstream for member in sorted(pool.members, key=lambda member: member.priority)
    )


def permits(patterns: tuple[str, ...], route: Route) -> bool:
    """Return whether a key with these ids and wildcards may use a route."""
    is_short = len(route.canonical) <= _MAX_CACHED_CHARS
    return (_permits_short if is_short else _permits)(patterns, route)


def _permits(patterns: tuple[str, ...], route: Route) -> bool:
    return any(
        route.canonical.startswith(canonical(pattern[:-1]))
        if pattern.endswith("*")
        else (name := canonical(pattern)) == route.canonical or name in route.aliases
        for pattern in patterns
    )


_permits_short = functools.lru_cache(_CACHED_IDS)(_permits)


def _join_patterns(patterns: tuple[str, ...]) -> str:
    more = f" and {len(patterns) - _MAX_LISTED} more" if len(patterns) > _MAX_LISTED else ""
    return (", ".join(patterns[:_MAX_LISTED]) or "none") + more


def _unknown(model_id: str, wanted: str) -> UnknownModel:
    shown = model_id[:_MAX_QUOTED_CHARS]
    if wanted.startswith(VENDOR):
        return UnknownModel(f"model: {shown}")
    return UnknownModel(
        f"model: {shown}: only {VENDOR} models are served here; other vendors' models need "
        "a chat completions endpoint, which this gateway does not serve"
    )
