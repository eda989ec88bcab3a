"""What to do about each event of the log. Pure."""

from collections.abc import Mapping

from proxy.notices.advice import Advice
from proxy.notices.events import Event

_NOTHING = "nothing: it is over"

EVENTS: Mapping[str, Advice] = {
    Event.ALERT_NOT_TAKEN: Advice(
        "`an alert was not taken by`",
        "look whether the receiver runs, and whether its URL in `alerts.to` still counts",
        "Five tries within ten minutes; the line has what was to be told, and nobody tries it again.",
    ),
    Event.ALERTS_WAIT: Advice(
        "`alerts of budgets, sessions and models wait`",
        "bring the store back, or start a gateway of this version, which makes its tables",
        "Alerts of upstreams and of the ledger itself go on.",
    ),
    Event.SPANS_NOT_TAKEN: Advice(
        "`spans were not taken`",
        "look whether the collector runs, and whether OTEL_EXPORTER_OTLP_ENDPOINT and _HEADERS are right",
        "Requests do not notice. What ended in the last ten minutes is sent when it takes spans again; of what ended "
        "before, no trace tells.",
    ),
    Event.SPANS_TAKEN: Advice("`spans are taken again`", _NOTHING),
    Event.CONFIG_DOUBTED: Advice(
        "a warning that `anyrouter check` has, too",
        "read the line, and mend the field that it names; `anyrouter check` has it, too",
        "It stops nothing.",
    ),
    Event.NOT_STARTED: Advice(
        "`cannot listen on`, `store.state_dir`, and others",
        "remove what the line names, and start the gateway again; `anyrouter check` tells what the configuration holds",
        "A port that is taken: `ss -ltnp 'sport = :8080'` names the process. It may be a gateway that runs already; "
        "end it with SIGTERM, and it leaves the port when its streams have ended, `drain_s` at most. "
        "`store.state_dir`: it cannot be written, or another gateway counts its limits there. In a unit of systemd or "
        "a container, name one of those that are writable there: [anyrouter.service](../deploy/anyrouter.service), "
        "[kubernetes.yaml](../deploy/kubernetes.yaml).",
    ),
    Event.NO_KEYS: Advice(
        "`no keys are configured`",
        "make one: `anyrouter keys new NAME`",
        "The line has a key for this run; in an application that holds the gateway, every request is a 401.",
    ),
    Event.TOO_FEW_FILES: Advice(
        "`open files are allowed`",
        "raise the hard limit of open files (`LimitNOFILE=`, `ulimit -n`)",
        "Each connection needs two.",
    ),
    Event.ADDRESS_NOT_SERVED: Advice(
        "`its other addresses are served`",
        "take the name off `listen.host`, or give this machine its address",
    ),
    Event.ADMIN_NOT_SERVED: Advice(
        "`is not served here`",
        "add proxy.create_admin_app(gateway) to the application that holds the gateway, or take `admin` out",
    ),
    Event.PAGES_NOT_SERVED: Advice(
        "`the pages need the extra`",
        "install what the line names, if the pages are wanted: the JSON API is served without",
    ),
    Event.CONFIG_NOT_TAKEN: Advice(
        "`was not taken over`",
        "mend what the lines name: the file is read again by itself, or on SIGHUP",
        "A changed configuration is wrong; the one before it goes on.",
    ),
    Event.CERTIFICATE_NOT_TAKEN: Advice(
        "`the certificate before it is shown`",
        "write the certificate and its key whole, and by renaming: they are read again when they have changed",
        "What was there was good when it was checked, and was being written when it was taken over.",
    ),
    Event.RESTART_NEEDED: Advice(
        "`after a restart only`",
        "start the gateway again when it suits",
        "These fields have changed, and are used from the next start on.",
    ),
    Event.HANGUP_IGNORED: Advice(
        "`SIGHUP is ignored`",
        "start it by `anyrouter serve`, whose configuration is read again",
    ),
    Event.MANAGER_NOT_TOLD: Advice(
        "`the service manager could not be told`",
        "look at `NotifyAccess=` of the unit, or take an inherited `NOTIFY_SOCKET` out of the environment",
        "The variable names a socket that takes nothing.",
    ),
    Event.LINES_LOST: Advice(
        "`lines were lost`",
        "look who reads stdout (access lines) or stderr (log lines): it is too slow, or stands still",
        "No request waits for it.",
    ),
    Event.LINES_NOT_WRITTEN: Advice(
        "`lines cannot be written`",
        "make room on the disk of stdout or stderr, or start again what read its pipe",
    ),
    Event.UPSTREAM_COOLS: Advice(
        "`cools`",
        "read why: the lines of this upstream say what failed; it is asked again by itself",
        'See "When an upstream of a pool fails".',
    ),
    Event.UPSTREAM_BACK: Advice("`is back`", _NOTHING),
    Event.MODELS_NOT_LISTED: Advice(
        "`gave no model list`",
        "nothing, if requests for its models work; else look at upstreams.NAME.base_url",
        "What stands behind that upstream's wildcard is missing from `GET /v1/models`. The line says why; it is asked "
        "again after half a minute.",
    ),
    Event.POOL_OUT_OF_RETRIES: Advice(
        "`its retry budget is empty`",
        "look at the first lines of its upstreams: one cause for all is on this side, the network or DNS",
    ),
    Event.CREDENTIAL_NOT_RENEWED: Advice(
        "`no new credential, the one before goes on`",
        "run upstreams.NAME.auth.command by hand as the gateway's user, with its environment",
        "It fails; the line says how. What it prints must be one line.",
    ),
    Event.BILL_DOUBTED: Advice(
        "a model or a modifier without a price",
        "add a row to `prices.overrides`",
        'See "Prices".',
    ),
    Event.OWNER_UNKNOWN: Advice(
        "`has an owner who is neither`",
        "make the owner with `anyrouter owners set`, or name another with `anyrouter keys update KEY --owner OTHER`",
        "No limits and budgets of an owner hold for this key.",
    ),
    Event.KEYS_NOT_FOLLOWED: Advice(
        "`the store of the keys does not answer`",
        "bring the store back",
        "Known keys go on, unknown ones get a 503 until it answers.",
    ),
    Event.KEYS_BACK: Advice("`the store of the keys answers again`", _NOTHING),
    Event.REDIS_DOWN: Advice(
        "`redis does not answer`",
        "ask it from this machine (`redis-cli -u URL ping`), and raise `redis.timeout_ms` if it is only slow",
        "Limits and budgets are no longer shared; the line names the error. With N processes, a limit lets in at most "
        "N times what it says until `redis answers again`. `INFO`, `SLOWLOG GET`. Many short ones: the network.",
    ),
    Event.REDIS_BACK: Advice(
        "`redis answers again`",
        _NOTHING,
        "What was spent meanwhile comes from the ledger within a minute.",
    ),
    Event.REDIS_UNFIT: Advice(
        "`redis may forget limits`, `6.2 or newer is needed`",
        "run `CONFIG SET maxmemory-policy noeviction` there, or bring it up to version 6.2",
        "A server that is full drops keys, and with them who has used what.",
    ),
    Event.STORE_DOWN: Advice(
        "`the store does not take rows`",
        "bring the database back, or make room on its disk: the rest happens by itself",
        "The line says why. Requests go on and rows wait in `store.state_dir`, up to `store.spool_max_bytes`: hours, "
        "mostly.",
    ),
    Event.STORE_BACK: Advice(
        "`the store takes rows again`", _NOTHING, "What waited is being stored."
    ),
    Event.STORE_MADE: Advice(
        "`an empty one is made`, `the store was empty`",
        "nothing, if this `store` is a new one; else stop the gateway and put the one before back, or mend `store.url`",
        "It has no keys and no sums. A start makes none where `store.state_dir` knows that there was one: then "
        "`anyrouter store migrate --new` does.",
    ),
    Event.STORE_REPLACED: Advice(
        "`the store is another one`",
        "put the one before back, if this was not meant; else start the gateway again",
        "Keys of the one before, which are not in this one, are known until then.",
    ),
    Event.SPOOL_FAILS: Advice(
        "`the ledger's spool`",
        "do what the line says: make room on the disk of `store.state_dir`, put that back, or bring the store back",
        "Rows are being lost, or will be: the disk is full, the folder was moved away or may not be written, or the "
        "store was away too long. The line counts them, names the folder, and says how to put it back where another "
        "has come in its place; what that one has in a store of its own stays there.",
    ),
    Event.SPOOL_BACK: Advice(
        "`is written again`, `is read again`",
        "nothing, but look into a folder that was moved away: its rows are stored when it is back in `store.state_dir`",
    ),
    Event.SPOOL_UNREADABLE: Advice(
        "`are unreadable`, `cannot be read`",
        "let the gateway's user read all below `store.state_dir`; what is torn is lost, and nothing is to be done",
    ),
    Event.ROWS_RECOVERED: Advice(
        "`the ledger has the rows that`",
        "find out why that process died: what it left is stored",
    ),
    Event.ROWS_WAIT: Advice(
        "`of the ledger's rows are not in the store`",
        "keep `store.state_dir`: the next start stores them",
        "The process ended while the store was away.",
    ),
    Event.ROWS_REFUSED: Advice(
        "`rows cannot be stored`", "report the line", "The database refuses these values."
    ),
    Event.WORKER_STUCK: Advice(
        "`has been stuck for`",
        "report it, unless somebody has stopped the process or the machine stood still",
        "A worker's event loop stood still; it is killed and replaced.",
    ),
    Event.WORKER_ENDED: Advice(
        "`ended with status`",
        "read the cause in the line; for status 137 or -9 look at the memory limit, and who killed it",
        "A worker died and is replaced: at once, or after up to 30 s when one after the other says the same cause "
        "before it has listened. Or a traceback stands above. While the gateway starts, such a cause ends the start, "
        "with exit status 1.",
    ),
    Event.WORKER_NOT_STARTED: Advice(
        "`no worker can be started`",
        "make room: memory, processes or files have run out on the machine",
        "The others go on, and it is tried again.",
    ),
    Event.WORKERS_LOST: Advice(
        "`no client waits for it now`",
        "read in the lines before why the worker dies",
        "It died, or could not be started, five times in a minute, or did not come to listen; its share of connections "
        "goes to the others until the next one is up.",
    ),
    Event.WORKER_KILLED: Advice(
        "`did not end in time`", "raise `drain_s`, if those streams had to be finished",
        "A worker was killed in a drain; its streams broke.",
    ),
    Event.FIRST_PROCESS_GONE: Advice(
        "`the first process is gone`",
        "start the gateway again, as a service manager does",
        "Somebody killed it with SIGKILL, or memory ran out. Its workers have left the port, so that another gateway "
        "can start at once, and end when their streams have, `drain_s` at most; with a `store` and without `redis` "
        "the next start waits for that five seconds and then gives up, as two would count limits twice.",
    ),
    Event.DRAIN_CUT: Advice(
        "`requests unfinished`",
        "raise `drain_s`, unless a second signal was meant to end them",
    ),
    Event.DEFECT: Advice(
        "`a defect`, with a traceback", "report the traceback", "Nothing of the ledger is lost by it."
    ),
}  # fmt: skip
