"""What a schema cannot check: names that refer to something, ids that must be alone, times that exist."""

import datetime
import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import urlsplit

from proxy.access.client_address import TrustedProxies
from proxy.access.keys import digest
from proxy.config import Model
from proxy.config_file import pools
from proxy.config_file.faults import Fault, Path, doubles, join_names, placeholder_fault, suggest
from proxy.routing.model_ids import canonical_pattern
from proxy.routing.router import Router

# What clients append to a base URL, and people copy with it.
_OURS = re.compile(
    r"(?i)((?:/+v1)*/+messages(?:/+count_tokens)?|(?:/+v1)+(?:/+models)?)/*\Z",
)
_TIMES = ("created_at", "deprecated_at", "retires_at", "expires_at")


def faults(document: Any, broken: Collection[Path]) -> Iterator[Fault]:
    """Find what is wrong between the fields of a document.

    Args:
        document: as written, references filled in.
        broken: the paths that are known to be wrong; nothing at or below them is looked at.
    """
    return _Checks(document, broken).run()


class _Checks:
    """The checks, over whatever of the document is sound."""

    def __init__(self, document: Any, broken: Collection[Path]) -> None:
        self._document = document
        self._broken = broken

    def run(self) -> Iterator[Fault]:
        yield from self._trusted_proxies()
        yield from self._upstreams()
        yield from pools.faults(self._at)
        yield from self._models()
        yield from self._keys()

    def _at(self, *path: str | int) -> Any:
        """Return what stands at a path; None when nothing does, or it is broken."""
        if any(path[: len(each)] == each for each in self._broken):
            return None
        value = self._document
        for step in path:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return None
        return value

    def _entries(self, name: str) -> range:
        return range(len(self._at(name) or ()))

    def _texts(self, *path: str | int) -> list[tuple[Path, str]]:
        """Return the texts of a list, with their paths."""
        items = ((*path, i) for i in range(len(self._at(*path) or ())))
        return [(item, text) for item in items if (text := self._at(*item)) is not None]

    def _trusted_proxies(self) -> Iterator[Fault]:
        for path, text in self._texts("trusted_proxies"):
            try:
                TrustedProxies([text])
            except ValueError:
                yield Fault(path, "must be an address or a network such as 10.0.0.0/8")

    def _upstreams(self) -> Iterator[Fault]:
        for name in self._at("upstreams") or ():
            path: Path = ("upstreams", name)
            url = self._at(*path, "base_url")
            if url is not None and (wrong := _wrong_with_url(url)) is not None:
                yield Fault((*path, "base_url"), wrong)
            at_key = (*path, "auth", "key")
            if (wrong := placeholder_fault(at_key, self._at(*at_key))) is not None:
                yield Fault(at_key, wrong)
            yield from self._auth((*path, "auth"))
            if self._at(*path, "dialect") == "vertex":
                yield from self._vertex(path)
            tls = self._at(*path, "tls") or {}
            if tls and (url or "").startswith("http:"):
                yield Fault((*path, "tls"), "not used with http; leave it out, or write https")
            if "key" in tls and "cert" not in tls:
                yield Fault((*path, "tls", "cert"), "missing, and required with a key")

    def _auth(self, path: Path) -> Iterator[Fault]:
        scheme, given = self._at(*path, "scheme"), self._at(*path) or {}
        for name in ("key", "command", "refresh_s"):
            if scheme == "none" and name in given:
                yield Fault((*path, name), "not used with scheme none; leave it out")
        if scheme in (None, "none"):
            return
        if "command" not in given:
            if "key" not in given:
                yield Fault((*path, "key"), "missing, and required")
            if "refresh_s" in given:
                yield Fault((*path, "refresh_s"), "not used without a command; leave it out")
        elif "key" in given:
            yield Fault((*path, "key"), "the command prints it; leave one of the two out")

    def _vertex(self, path: Path) -> Iterator[Fault]:
        if not self._at(*path, "model_ids") and (*path, "model_ids") not in self._broken:
            yield Fault((*path, "model_ids"), "missing, and required with dialect vertex")
        scheme = (*path, "auth", "scheme")
        if self._at(*scheme) != "bearer" and not {scheme, scheme[:-1]} & set(self._broken):
            yield Fault(scheme, "must be bearer with dialect vertex")

    def _models(self) -> Iterator[Fault]:
        upstreams = [*(self._at("upstreams") or ()), *(self._at("pools") or ())]
        ids: list[tuple[Path, str]] = []
        for i in self._entries("models"):
            path: Path = ("models", i)
            yield from self._times(path)
            upstream = self._at(*path, "upstream")
            if upstream is not None and upstreams and upstream not in upstreams:
                known = suggest(upstream, upstreams) or f"; known: {join_names(upstreams)}"
                what = "upstream or pool" if self._at("pools") else "upstream"
                yield Fault((*path, "upstream"), f"no {what} has this name{known}")
            elif upstream is not None:
                yield from pools.find_unserved(self._at, path, upstream)
            model_id = self._at(*path, "id")
            if model_id is not None:
                ids.append(((*path, "id"), model_id))
                if model_id.endswith("*") and self._at(*path, "aliases"):
                    yield Fault((*path, "aliases"), "a wildcard entry can have none; leave it out")
            ids += self._texts(*path, "aliases")
        yield from doubles(ids, canonical_pattern, "this id")

    def _keys(self) -> Iterator[Fault]:
        names: list[tuple[Path, str]] = []
        digests: list[tuple[Path, str]] = []
        for i in self._entries("keys"):
            path: Path = ("keys", i)
            yield from self._times(path)
            yield from self._key_models(path)
            if (name := self._at(*path, "name")) is not None:
                names.append(((*path, "name"), name))
            if (sha256 := self._at(*path, "sha256")) is not None:
                digests.append((path, sha256))
            elif (key := self._at(*path, "key")) is not None:
                digests.append((path, digest(key)))
        yield from doubles(names, str, "this name")
        yield from doubles(digests, str, "the same key")

    def _key_models(self, path: Path) -> Iterator[Fault]:
        """Find what a key's models name in vain: the key would be refused, and nobody would know why."""
        if any(each[:1] == ("models",) for each in self._broken):
            return
        models = [
            Model(entry["id"], "", aliases=tuple(entry.get("aliases", ())))
            for entry in self._at("models") or ()
        ]
        router = Router(models)
        ids = [each for model in models for each in (model.id, *model.aliases)]
        for item, pattern in self._texts(*path, "models"):
            if not router.can_match(pattern):
                yield Fault(item, f"nothing in models matches{suggest(pattern, ids)}")

    def _times(self, path: Path) -> Iterator[Fault]:
        for name in _TIMES:
            if (text := self._at(*path, name)) is None:
                continue
            try:
                datetime.datetime.fromisoformat(text)
            except ValueError:
                yield Fault((*path, name), "there is no such day or time")


def _wrong_with_url(url: str) -> str | None:
    try:
        usable = urlsplit(url).port != 0
    except ValueError:
        usable = False
    if not usable:
        return "needs a valid host, and a port from 1 to 65535 if it has one"
    # The slip that would make every request a 404.
    doubled = _OURS.search(urlsplit(url).path)
    return f"leave out {doubled[1]}, the gateway adds it" if doubled else None
