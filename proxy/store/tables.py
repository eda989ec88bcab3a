"""The tables, for both engines alike: integers of 64 bits and texts, no other type.

Sets and mappings are JSON texts. PostgreSQL compares texts by their bytes, as SQLite does, so that both order alike.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.types import TypeEngine

from proxy.ledger.row import FIELDS

METADATA = MetaData()

_TEXT = Text().with_variant(Text(collation="C"), "postgresql")
# SQLite numbers rows by itself in a column of exactly this type only.
_SERIAL = BigInteger().with_variant(Integer, "sqlite")
_INTEGER = BigInteger()
_ROW_TYPES: dict[object, tuple[TypeEngine[Any], bool]] = {
    str: (_TEXT, False),
    str | None: (_TEXT, True),
    int: (_INTEGER, False),
    int | None: (_INTEGER, True),
}


def _row_column(name: str, kind: object) -> Column[Any]:
    column_type, nullable = _ROW_TYPES[kind]
    return Column(name, column_type, primary_key=name == "id", nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, _TEXT, nullable=nullable)


def _integer(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


# SQLite has an index of some rows only where a question asks in the same words.
SLOW_MS = 60_000
_IS_SLOW = text(f"total_ms > {SLOW_MS}")

# One row per request: the fields of `ledger.row.Row`, in their order.
REQUEST = Table(
    "request",
    METADATA,
    *(_row_column(field.name, field.type) for field in FIELDS),
    Index("request_at", "at_ms"),
    Index("request_key_at", "key", "at_ms"),
    Index("request_session_at", "session_id", "at_ms"),
    Index("request_upstream_request_id", "upstream_request_id"),
    Index("request_slow_at", "at_ms", sqlite_where=_IS_SLOW, postgresql_where=_IS_SLOW),
    # Of the few that ended badly: who looks for them goes through no others.
    *(
        Index(
            name,
            *columns,
            sqlite_where=text("cause IS NOT NULL"),
            postgresql_where=text("cause IS NOT NULL"),
        )
        for name, columns in (
            ("request_failed_at", ("at_ms",)),
            ("request_failed_key_at", ("key", "at_ms")),
        )
    ),
)

# What a row is counted under; '' for none, because NULLs in a key never conflict, and sums would split.
DAY_DIMENSIONS = ("day", "key", "owner", "model", "upstream")
DAY_SUMS = (
    "requests",
    "refused",
    "failed",
    "estimated",
    "input_tokens",
    "output_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "cache_read_tokens",
    "web_searches",
    "cost_micros",
)
# Sums of each UTC day, kept for ever. `model` is the one that served.
USAGE_DAY = Table(
    "usage_day",
    METADATA,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, _TEXT, primary_key=True) for name in DAY_DIMENSIONS[1:]),
    *(_integer(name) for name in DAY_SUMS),
)

# The same of each hour, counted since 1970, kept as long as requests are: for who looks at a day of many requests.
USAGE_HOUR = Table(
    "usage_hour",
    METADATA,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, _TEXT, primary_key=True) for name in DAY_DIMENSIONS[1:]),
    *(_integer(name) for name in DAY_SUMS),
)

# Requests that wrote anew what had been in the cache: `ledger.cache_breaks`. Kept as long as their requests are.
CACHE_BREAK = Table(
    "cache_break",
    METADATA,
    Column("request_id", _TEXT, primary_key=True),
    _integer("at_ms"),
    _text("reason"),
    _integer("missed"),
    _integer("cost_micros"),
    _integer("gap_ms"),
    Index("cache_break_at", "at_ms"),
)

CACHE_SUMS = ("requests", "tokens", "cost_micros")
# Sums of each UTC day about the cache, kept for ever. `kind` is a reason of a break, or of `ledger.cache_breaks.Kind`;
# `model` is the one that served.
CACHE_DAY = Table(
    "cache_day",
    METADATA,
    Column("day", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, _TEXT, primary_key=True) for name in ("key", "model", "request_class", "kind")),
    *(_integer(name) for name in CACHE_SUMS),
)

# Alerts that one of the machines has sent, or is about to: each (rule, subject, period) once.
ALERT_SENT = Table(
    "alert_sent",
    METADATA,
    *(Column(name, _TEXT, primary_key=True) for name in ("rule", "subject", "period")),
    _integer("at_ms"),
)

# What the sign-in's cookies are signed with, together with what only the configuration has.
SIGN_IN_SECRET = Table(
    "sign_in_secret",
    METADATA,
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    _text("secret"),
)

# Managed keys. A name is an identity for ever: a deleted key stays, with `deleted_at_ms`.
API_KEY = Table(
    "api_key",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    _text("owner", nullable=True),
    _text("models", nullable=True),
    _text("limits"),
    _text("budgets"),
    _text("tags"),
    _integer("expires_at_ms", nullable=True),
    _integer("disabled"),
    _integer("created_at_ms"),
    _integer("updated_at_ms"),
    _integer("deleted_at_ms", nullable=True),
    _integer("seq"),
    Index("api_key_seq", "seq"),
)

# Digests of a key's secrets: the present one, and older ones until `not_after_ms`.
API_KEY_SECRET = Table(
    "api_key_secret",
    METADATA,
    Column("sha256", _TEXT, primary_key=True),
    Column("key_name", _TEXT, ForeignKey("api_key.name"), nullable=False),
    _integer("created_at_ms"),
    _integer("not_after_ms", nullable=True),
    Index("api_key_secret_key", "key_name"),
)

OWNER = Table(
    "owner",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    _text("limits"),
    _text("budgets"),
    _integer("created_at_ms"),
    _integer("updated_at_ms"),
    _integer("deleted_at_ms", nullable=True),
    _integer("seq"),
    Index("owner_seq", "seq"),
)

# Numbers with a name: `keys_seq` counts changes of keys and owners; `sweeper` is when rows are swept next;
# what had ended before `breaks_until` has been looked at for cache breaks, and before `traces_until` and
# `traces_slow_until` it is in traces; from `hours_from` on, counted since 1970, the sums of hours are those of all
# requests.
META = Table("meta", METADATA, Column("name", _TEXT, primary_key=True), _integer("value"))

# Who changed what, with the object before and after as JSON.
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    _integer("at_ms"),
    _text("actor"),
    _text("action"),
    _text("object"),
    _text("before", nullable=True),
    _text("after", nullable=True),
)
