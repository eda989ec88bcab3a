"""`anyrouter check`: say what is wrong with a configuration, or what it holds."""

import argparse

from proxy.commands import bounds, options
from proxy.commands.parser import add_command
from proxy.commands.parts import count_of, counted_models, parts
from proxy.commands.standard_files import say, say_on_errors
from proxy.config import Config, Key, Model
from proxy.config_file.faults import ConfigError
from proxy.config_file.load import load
from proxy.routing.model_ids import native

_OF_THIS_SHELL = (
    "the variables of this shell were looked up; a gateway that runs has its own, by which "
    "`anyrouter reload --pid PID` checks the file"
)


def add_parser(subparsers: "options.Subparsers[argparse.ArgumentParser]") -> None:
    """Describe the command."""
    parser = add_command(
        subparsers,
        "check",
        "say what is wrong with a configuration, or what it holds",
        "Reads a configuration as `serve` does. Everything that is wrong is told at once, a line each, with file and "
        "line; what is good is shown as a table. Warnings stop nothing. Nothing is started, and no upstream is asked.",
        examples=("anyrouter check", "anyrouter check --config deploy/anthropic.yaml"),
        environment={options.ANY_VARIABLE: "the ${...} that the configuration names"},
    )
    options.add_config(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the configuration; a `ConfigError` says what is wrong with it."""
    # It takes as long as everything else that is imported, and is not for what serves.
    from proxy.commands.tables import pairs, table  # noqa: PLC0415 - imported by who needs it alone

    file = options.config_file(args)
    try:
        config, warnings = load(file)
    except ConfigError as error:
        if not error.is_of_environment:
            raise
        raise ConfigError(*error.faults, _OF_THIS_SHELL) from None
    say(f"{file}: good: {summary(config)}\n")
    members = {pool.name: [each.upstream for each in pool.members] for pool in config.pools}
    served: dict[str, list[Model]] = {each.name: [] for each in config.upstreams}
    for model in config.models:
        for upstream in members.get(model.upstream, [model.upstream]):
            served[upstream].append(model)
    say(
        table(
            ("upstream", "base URL", "credential", "serves"),
            [
                (each.name, each.base_url, each.auth.scheme, counted_models(served[each.name]))
                for each in config.upstreams
            ],
        )
    )
    say(table(("model", "sent as", "upstream", "aliases"), map(_model_row, config.models)))
    if config.keys:
        say(_keys_table(config))
    if config.owners:
        rows = [
            (each.name, bounds.shown_limits(each.limits), bounds.shown_budgets(each.budgets))
            for each in config.owners
        ]
        say(table(("owner", "limits", "budgets"), rows))
    say(pairs(parts(config)) + "\n")
    for warning in warnings:
        say_on_errors(f"anyrouter: warning: {warning}")
    return 0


def summary(config: Config) -> str:
    """Return how much of what a configuration holds."""
    return (
        f"{count_of(len(config.upstreams), 'upstream')}, {counted_models(config.models)}, "
        f"{count_of(len(config.keys), 'key')}{'' if config.store is None else ' in the file'}"
    )


def _keys_table(config: Config) -> str:
    """Return the keys, with the columns in which any of them has something."""
    from proxy.commands.tables import table  # noqa: PLC0415 - as in `run`

    columns = ("key", "models", "owner", "limits", "budgets", "expires")
    rows = list(map(_key_row, config.keys))
    told = [at for at, name in enumerate(columns) if any(row[at] for row in rows)]
    return table([columns[at] for at in told], [[row[at] for at in told] for row in rows])


def _model_row(model: Model) -> tuple[str, str, str, str]:
    sent = model.upstream_model or ("as asked for" if model.id.endswith("*") else native(model.id))
    return model.id, sent, model.upstream, ", ".join(model.aliases)


def _key_row(key: Key) -> tuple[str, ...]:
    models = "all" if "*" in key.models else ", ".join(key.models)
    expires = "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}"
    name = f"{key.name} (disabled)" if key.disabled else key.name
    limits, budgets = bounds.shown_limits(key.limits), bounds.shown_budgets(key.budgets)
    return name, models, key.owner or "", limits, budgets, expires
