"""What is wrong between pools, their members, and the models that they are to serve. Pure."""

from collections.abc import Callable, Iterator
from typing import Any

from proxy.config_file.faults import Fault, Path, doubles, join_names, safe_name, suggest
from proxy.routing.model_ids import OwnIds, native

# Returns what stands at a path of the document; None: nothing, or nothing sound.
At = Callable[..., Any]


def faults(at: At) -> Iterator[Fault]:
    """Find what is wrong with the pools, and with what their members call models."""
    upstreams = list(at("upstreams") or ())
    for name in upstreams:
        path: Path = ("upstreams", name, "model_ids")
        for model in at(*path) or ():
            if "*" in (at(*path, model) or "") and not model.endswith("*"):
                yield Fault((*path, model), "* stands for what a * of the native id matched")
    for name in at("pools") or ():
        if name in upstreams:
            yield Fault(("pools", name), "an upstream has this name already")
        members = _members(at, name)
        for path, upstream in members:
            if upstreams and upstream not in upstreams:
                known = suggest(upstream, upstreams) or f"; known: {join_names(upstreams)}"
                yield Fault(path, f"no upstream has this name{known}")
        yield from doubles(members, str, "this upstream")


def find_unserved(at: At, path: Path, name: str) -> Iterator[Fault]:
    """Find an exact model that no upstream of those that are to serve it knows.

    Args:
        at: as for `faults`.
        path: of the model's entry.
        name: the upstream or pool that it names.
    """
    model_id = at(*path, "id")
    if model_id is None or model_id.endswith("*"):
        return
    model = at(*path, "upstream_model") or native(model_id)
    names = [name] if at("pools", name) is None else [each for _, each in _members(at, name)]
    own_ids = [OwnIds((at("upstreams", each, "model_ids") or {}).items()) for each in names]
    if own_ids and all(each.own(model) is None for each in own_ids):
        yield Fault((*path, "upstream"), f"{safe_name(model)} is in no model_ids there")


def _members(at: At, name: str) -> list[tuple[Path, str]]:
    """Return the upstreams of a pool, with their paths."""
    path: Path = ("pools", name, "members")
    places = ((*path, i, "upstream") for i in range(len(at(*path) or ())))
    return [(place, upstream) for place in places if (upstream := at(*place)) is not None]
