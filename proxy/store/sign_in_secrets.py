"""What the sign-in's cookies are signed with: one secret for all machines of a store, made anew from time to time."""

import secrets

import sqlalchemy as sa

from proxy.store.engine import reading, tried_again
from proxy.store.inserts import Insert
from proxy.store.tables import SIGN_IN_SECRET

_RENEWED_AFTER_MS = 30 * 86_400_000
# The present one, the one before for cookies that it signed, and another machine's, made at the same time.
_KEPT = 3
_BYTES = 32
_S = SIGN_IN_SECRET.c


def sign_in_secrets(engine: sa.Engine, now_ms: int) -> list[str]:
    """Return the secrets whose cookies are good, the one to sign with last; make one when there is none, or it is old.

    Who has one of them can make no cookie without the digests of the configuration's `admin.keys`.
    """
    known = _known(engine)
    if known and known[-1][0] > now_ms - _RENEWED_AFTER_MS:
        return [secret for _, secret in known]
    insert = Insert(engine, SIGN_IN_SECRET)

    def renew() -> None:
        with engine.begin() as connection:
            insert.execute(connection, [(now_ms, secrets.token_hex(_BYTES))])
            if len(known) >= _KEPT:
                old = _S.at_ms <= known[-_KEPT][0]
                connection.execute(sa.delete(SIGN_IN_SECRET).where(old))

    tried_again(renew)
    return [secret for _, secret in _known(engine)]


def _known(engine: sa.Engine) -> list[tuple[int, str]]:
    with reading(engine) as connection:
        found = connection.execute(sa.select(_S.at_ms, _S.secret).order_by(_S.at_ms)).all()
    return [(at_ms, secret) for at_ms, secret in found]
