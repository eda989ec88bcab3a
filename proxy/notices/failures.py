"""What to do about each cause that lies in an upstream, in the gateway, or in who reads the answer. Pure."""

from collections.abc import Mapping

from proxy.causes import Cause
from proxy.ledger.row import BROKEN_BY_US, LOST
from proxy.notices.advice import Advice

FAILURES: Mapping[str, Advice] = {
    Cause.UPSTREAM_UNREACHABLE: Advice(
        '502, "could not be reached"',
        "check the name, the route, the firewall and TLS from this machine: `curl -sv` the base_url of NAME",
        "Or it is down. The line of stderr has the error's name; clients get a 502, and try again.",
    ),
    Cause.UPSTREAM_CUT: Advice(
        "502, or a stream that breaks with `event: error`",
        "nothing for a single one: clients try again; for many after the same time, find the idle timeout on the way",
        "The upstream, or something on the way to it, closed in the middle. See below.",
    ),
    Cause.UPSTREAM_GARBAGE: Advice(
        '502, "not HTTP", "not JSON", "not one"',
        "look at upstreams.NAME.base_url, and for a captive proxy on the way: what answers is not the API",
        "It may be an error page with status 200.",
    ),
    Cause.UPSTREAM_TOO_LARGE: Advice(
        '502, "too large"',
        "look at upstreams.NAME.base_url: the API sends no such answer",
        "It was no stream, and longer than 64 MiB.",
    ),
    Cause.UPSTREAM_FAILED: Advice(
        '502, "exchange failed"',
        "report it with the error that stderr names",
        "A failure that fits nowhere else.",
    ),
    Cause.UNSENDABLE_HEADER: Advice(
        '502, "cannot be sent on"',
        "take the control character out of the request's header",
        "Mostly the application that holds the gateway has put it there.",
    ),
    Cause.UPSTREAM_AUTH: Advice(
        '502, "refused the gateway\'s own credential"',
        "put the right key into upstreams.NAME.auth",
        'It is wrong, revoked or out of credit: everybody is affected. See "Keys".',
    ),
    Cause.UPSTREAM_REDIRECT: Advice(
        '502, "redirect"',
        "mend upstreams.NAME.base_url: it has moved, or is http where https belongs",
        "stderr has the status.",
    ),
    Cause.UPSTREAM_TIMEOUT: Advice(
        "504",
        "look at the upstream's status page, and how long the requests are",
        "It said nothing for `first_byte_s`, or for `idle_s` inside an answer.",
    ),
    Cause.UPSTREAM_ERROR: Advice(
        "429, 500, 529 and others, as the API words them",
        "read `error_type` and `detail` of the access log's line; of a 429, look who asks so much",
        "The upstream's own answer, passed on; with `log.error_messages: true` in its words. A 429 is the account's "
        "rate limit, which all keys of this upstream share: recipes below.",
    ),
    Cause.DRAINING: Advice(
        '529, "shutting down"; streams that end with it',
        "nothing, if there is another process: clients come back by themselves",
        'This process was told to stop. There is no other one? See "Upgrade".',
    ),
    Cause.TOO_MANY_CONNECTIONS: Advice(
        '529, "too many connections"',
        "raise `limits.max_connections`, add `workers`, or look for one client that holds too many",
        "All have a request under way (idle ones give way). Or one client has `limits.max_connections_per_client`: "
        "look at `client` in the log.",
    ),
    Cause.OUT_OF_FILES: Advice(
        '529, "no connection left"',
        "raise the hard limit of open files (`LimitNOFILE=`, `ulimit -n`), or add `workers`",
        "No file descriptor is left to reach an upstream with.",
    ),
    Cause.BODY_MEMORY: Advice(
        '529, "as many bytes of request bodies"',
        "raise `limits.body_memory_bytes` with the memory, or look for who sends so much",
        "So many are held. `key` and `bytes_in` in the log say who.",
    ),
    Cause.CLIENT_CLOSED: Advice(
        "the user gave up, no status",
        "nothing for a single one; for many after the same time, find the idle timeout of a proxy in front",
        "The client left first. See below.",
    ),
    Cause.CLIENT_STALLED: Advice(
        "an aborted stream, to a client that is there",
        "look at the client, or the proxy in front: it read nothing for `idle_s`",
    ),
    BROKEN_BY_US[0]: Advice(
        "a row of the ledger without a status",
        "find out why the process died: stderr has `ended with status`, or the service manager says why",
        "No client's word, and in no access line: the request was in flight (SIGKILL, memory), and the next start "
        "stored the row.",
    ),
    LOST: Advice(
        "a row of the ledger with many `requests`, and no key",
        "bring the store back, and make room on the disk of `store.state_dir`",
        "Those rows are lost: see `the ledger's spool` below.",
    ),
    Cause.INTERNAL: Advice(
        '500, "internal error"',
        "report the traceback that stderr has, with the `request_id`",
        "A defect of the gateway.",
    ),
}
