"""What a command cannot do is told in a sentence, with the next step where it is known."""

import errno

import pytest

from proxy.commands.failures import describe, of_admin

FREE_PORT = "`ss -ltnp` shows what has it: end that, or take another with --port or `listen.port`"
OTHER_PORT = (
    "`ss -ltnp` shows what has it: end that, or give `admin.port` another in the configuration"
)
FAILURES: list[tuple[Exception, str]] = [
    (
        OSError(errno.EADDRINUSE, "cannot listen on h, port 1: in use"),
        f"cannot listen on h, port 1: in use; {FREE_PORT}",
    ),
    (
        OSError(errno.EACCES, "cannot listen on h, port 80: Permission denied"),
        "cannot listen on h, port 80: Permission denied; ports below 1024 need rights: take another with --port",
    ),
    (
        of_admin(OSError(errno.EADDRINUSE, "cannot listen on h, port 1: in use")),
        f"the admin API cannot listen on h, port 1: in use; {OTHER_PORT}",
    ),
    (PermissionError(errno.EACCES, "Permission denied", "f"), "[Errno 13] Permission denied: 'f'"),
    (OSError("no number"), "no number"),
    (RuntimeError("said"), "said"),
]


@pytest.mark.parametrize(("error", "said"), FAILURES, ids=[said[:24] for _, said in FAILURES])
def test_a_failure_is_told_with_what_to_do_where_that_is_known(error: Exception, said: str) -> None:
    assert describe(error) == said


def test_where_no_configuration_is_none_of_its_settings_is_advised() -> None:
    said = describe(
        OSError(errno.EADDRINUSE, "cannot listen on h, port 1: in use"), has_config=False
    )
    assert said.endswith("end that, or take another with --port")
