"""Which model was probably meant by an id that nothing is served under. Pure."""

import difflib
import itertools
import re
from collections.abc import Iterable

from proxy.config import Model
from proxy.routing.model_ids import VENDOR, canonical

_MAX_CHARS = 64
# To compare two names takes up to the cube of their length: a client could choose one that holds everybody up.
_MAX_COMPARED, _MAX_COMPARED_CHARS = 50, 32
# A family's name must be nearly right, or `gpt-5.5` would be `claude-opus-5.5`; of a version any may be meant.
_SAME_FAMILY, _NEAR = 0.7, 0.6
_NOT_LETTERS = re.compile(r"[^a-z]+")


def meant(model_id: str, models: Iterable[Model]) -> Model | None:
    """Return the model whose id or alias is nearest to an id; None: none is near.

    Args:
        model_id: as a client wrote it.
        models: without wildcards, those that may be named to whoever asks.
    """
    wanted = _bare(model_id[:_MAX_CHARS])
    best, found = _NEAR, None
    named = ((model, each) for model in models for each in (model.id, *model.aliases))
    for model, each in itertools.islice(named, _MAX_COMPARED):
        name = _bare(each)
        if _ratio(_letters(wanted), _letters(name)) < _SAME_FAMILY:
            continue
        # `claude-4-6-sonnet` has its words in the order of older names.
        near = max(_ratio(wanted, name), _ratio(_sort_words(wanted), _sort_words(name)))
        if near > best:
            best, found = near, model
    return found


def _bare(model_id: str) -> str:
    """Leave out the vendor, misspelled perhaps, and the word that all have in common."""
    name = canonical(model_id).lower()
    vendor, slash, rest = name.partition("/")
    if slash and _ratio(f"{vendor}/", VENDOR) >= _SAME_FAMILY:
        name = rest
    return name.removeprefix("claude-")[:_MAX_COMPARED_CHARS]


def _sort_words(name: str) -> str:
    return "-".join(sorted(name.split("-")))


def _letters(name: str) -> str:
    return _NOT_LETTERS.sub("", name)


def _ratio(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
