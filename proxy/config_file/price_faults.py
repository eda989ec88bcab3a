"""What is wrong with the prices that a configuration names: its own rows, and those of its price file."""

from proxy.config import Prices
from proxy.config_file.faults import Fault, Path
from proxy.money import price_file
from proxy.money.price_rows import PriceError

_CONFIGURED = ("overrides", "multiplier", "upstreams")
_NONE = Prices()


def faults(prices: Prices) -> list[Fault]:
    """Find everything that keeps prices from being used; the shipped ones are not looked at for their own sake."""
    if prices == _NONE:
        return []
    try:
        price_file.load(
            prices.file,
            overrides=prices.overrides,
            multiplier=prices.multiplier,
            upstreams=prices.upstreams,
        )
    except PriceError as error:
        return [_fault(each) for each in error.faults]
    return []


def _fault(text: str) -> Fault:
    """Return a fault at the field of the configuration that it is of; what is wrong in the file is one of `file`."""
    place, _, said = text.partition(": ")
    name, *rest = place.split(".")
    if name not in _CONFIGURED:
        return Fault(("prices", "file"), text.removeprefix("file: "))
    path: Path = ("prices", name, *(int(each) if each.isdigit() else each for each in rest))
    return Fault(path, said)
