"""The parts of a configuration that are not lists, each in a line for people, without secrets."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from proxy.commands import bounds
from proxy.config import Budgets, Config, Model, Prices, RateLimits
from proxy.money import price_file


def parts(config: Config) -> list[tuple[str, str]]:
    """Return where a configuration listens, what it keeps, limits and charges, and who may change that."""
    rows = [
        ("listen", _listen(config)),
        ("store", _store(config)),
        ("redis", "none" if config.redis is None else _without_password(config.redis.url)),
        ("limits", _limits(config)),
        ("prices", _prices(config.prices)),
        ("admin", _admin(config)),
        ("alerts", _alerts(config)),
        ("traces", _traces(config)),
    ]
    return [(name, said) for name, said in rows if said]


def count_of(number: int, what: str) -> str:
    """Return a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def counted_models(models: Iterable[Model]) -> str:
    """Return how many models and wildcards a catalog has: a wildcard is as many as its upstream serves."""
    ids = [model.id for model in models]
    wildcards = sum(each.endswith("*") for each in ids)
    said = [count_of(len(ids) - wildcards, "model")] if wildcards < len(ids) else []
    if wildcards:
        said.append(count_of(wildcards, "wildcard"))
    return " and ".join(said) or "none"


def shown_store(config: Config) -> str:
    """Return which store there is, in two or three words."""
    return "no store" if config.store is None else f"store {_without_password(config.store.url)}"


def _listen(config: Config) -> str:
    listen = config.listen
    where = f"{', '.join(listen.hosts)}; port {listen.port}, below {listen.base_path}"
    tls = "" if listen.tls is None else f"; TLS by {listen.tls.cert}"
    return f"{where}; {count_of(listen.workers, 'worker')}{tls}"


def _store(config: Config) -> str:
    store = config.store
    if store is None:
        return "none: no usage is kept, and keys are those of the file"
    kept = f"single requests kept {count_of(store.retention_days, 'day')}"
    return f"{_without_password(store.url)}; {kept}; state_dir {store.state_dir}"


def _limits(config: Config) -> str:
    quota = config.quota
    told = {
        "all together": _bounds(quota.global_limits, quota.global_budgets),
        "each key": _bounds(quota.each_key_limits, quota.each_key_budgets),
    }
    said = [f"{who}: {what}" for who, what in told.items() if what]
    return "; ".join(said) or "none but those of single keys and owners"


def _bounds(limits: RateLimits, budgets: Budgets) -> str:
    return ", ".join(filter(None, (bounds.shown_limits(limits), bounds.shown_budgets(budgets))))


def _prices(prices: Prices) -> str:
    said = f"{prices.file or 'the shipped list'}, of {price_file.load(prices.file).version}"
    if prices.overrides:
        said += f"; {count_of(len(prices.overrides), 'row')} before it"
    if prices.multiplier != 1:
        said += f"; times {float(prices.multiplier):g}"
    told = (f"{name} times {float(factor):g}" for name, factor in prices.upstreams.items())
    return "; ".join((said, *told))


def _admin(config: Config) -> str:
    admin = config.admin
    if admin is None:
        return "none"
    return f"{admin.host}; port {admin.port}; {count_of(len(admin.keys), 'credential')}"


def _alerts(config: Config) -> str:
    """Return who is told: the host alone, for the path of such a URL is a secret."""
    to = [f"{urlsplit(each.url).hostname} ({each.format})" for each in config.alerts.to]
    return ", ".join(to)


def _traces(config: Config) -> str:
    otel = config.otel
    if otel is None:
        return ""
    told = f"; traceparent is the gateway's towards {', '.join(otel.propagate)}"
    return f"{otel.sample:.0%} of them by OTLP{told if otel.propagate else ''}"


def _without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    found = urlsplit(url)
    if found.password is None and not found.query:
        return url
    user = f"{found.username}:***@" if found.username else ""
    where = found.netloc.rpartition("@")[2]
    return f"{found.scheme}://{user}{where}{found.path}"
