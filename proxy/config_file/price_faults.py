"""What is wrong with the prices that a configuration names, or missing: its own rows, and those of its price file."""

from collections.abc import Iterator

from proxy.config import Config, Prices
from proxy.config_file.faults import Fault, Path
from proxy.money import price_file
from proxy.money.price_rows import PriceError
from proxy.routing.model_ids import native

_CONFIGURED = ("overrides", "multiplier", "upstreams")
_NONE = Prices()


def faults(prices: Prices) -> list[Fault]:
    """Find everything that keeps prices from being used; the shipped ones are not looked at for their own sake."""
    if prices == _NONE:
        return []
    try:
        price_file.configured(prices)
    except PriceError as error:
        return [_fault(each) for each in error.faults]
    return []


def without_price(config: Config) -> Iterator[Fault]:
    """Find the models of a good configuration that have no price, when what requests cost is kept or told."""
    if config.store is None and config.prices == _NONE:
        return
    table = price_file.configured(config.prices)
    for i, model in enumerate(config.models):
        if model.id.endswith("*"):
            continue
        sent = model.upstream_model or native(model.id)
        if table.find(None, sent) is table.unknown:
            yield Fault(
                ("models", i),
                f"{sent} has no price: charged as {table.unknown.name}; add a row to prices.overrides",
            )


def _fault(text: str) -> Fault:
    """Return a fault at the field of the configuration that it is of; what is wrong in the file is one of `file`."""
    place, _, said = text.partition(": ")
    name, *rest = place.split(".")
    if name not in _CONFIGURED:
        return Fault(("prices", "file"), text.removeprefix("file: "))
    path: Path = ("prices", name, *(int(each) if each.isdigit() else each for each in rest))
    return Fault(path, said)
