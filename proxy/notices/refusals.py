"""What to do about each cause that refuses a request before its upstream is asked. Pure."""

from collections.abc import Mapping

from proxy.causes import Cause
from proxy.notices.advice import Advice

REFUSALS: Mapping[str, Advice] = {
    Cause.UNAUTHENTICATED: Advice(
        '401, "invalid gateway key"; of the admin API, 401',
        "give the client a key of this gateway: `anyrouter keys list` has them, `anyrouter keys new` makes one",
        "`detail` says whether it was `missing`, `malformed` (cut, or a vendor's own), `unknown` (never made, "
        "deleted, or replaced by a rotation whose grace is over), `expired` or `disabled` (`key` says which). Does "
        "the client have it in its environment (`ANTHROPIC_AUTH_TOKEN` or `ANTHROPIC_API_KEY`)? The admin "
        "API takes `admin.keys` only.",
    ),
    Cause.MODEL_FORBIDDEN: Advice(
        "403 in JSON",
        "add the model to the key's `models`, or tell the client which it may use",
        "`GET /v1/models` with the key lists those. The key itself is good.",
    ),
    Cause.ORIGIN_FORBIDDEN: Advice(
        "a page in a browser may not read anything",
        "add the page's origin to `cors.origins`, if the page is yours",
        "Its preflight came from an origin that is not named there; the message says which.",
    ),
    Cause.UNKNOWN_MODEL: Advice(
        '404, "model: ..."',
        "add the model that was asked for, an alias of it or `anthropic/*` to `models`, or have the client ask for one "
        "that is there",
        "Nothing there matches; other vendors' models are not served. The access line's `model` says what was asked "
        "for, and `GET /v1/models` what may be.",
    ),
    Cause.NOT_FOUND: Advice(
        '404, "no such path"',
        "have the client use the base URL that the message names",
        "It is another one, or a proxy in front rewrites paths. Or it is a part of the API that the gateway does not "
        "serve, which the message says too.",
    ),
    Cause.METHOD_NOT_ALLOWED: Advice(
        "405",
        "look for a redirect in front, from http to https, which makes a GET of a POST",
    ),
    Cause.INVALID_REQUEST: Advice(
        '400 with a field\'s name, or "malformed HTTP request"',
        "mend what the client sends: `detail` of the access log's line names the place",
        "When it is a field that the API does accept, the schema is behind: report it. With method `-`, what came is "
        "not HTTP: TLS spoken to a plain port, a port scan, a proxy that breaks framing.",
    ),
    Cause.REQUEST_TOO_LARGE: Advice(
        "413 in JSON",
        "have the conversation shortened, or raise the setting that the error names",
        "`limits.max_body_bytes`: 32 MiB is the API's own bound. `limits.body_memory_bytes`: one key may take half "
        "of a worker's part of it.",
    ),
    Cause.UNSUPPORTED_MEDIA: Advice(
        "415",
        "have the client send JSON, plain or compressed by gzip or deflate",
        "`content-type` or `content-encoding` says something else.",
    ),
    Cause.EXPECTATION_FAILED: Advice(
        "417",
        "take the `Expect` header off, in the client or in the proxy that adds it",
        "Only `100-continue` is understood.",
    ),
    Cause.REQUEST_BODY_TIMEOUT: Advice(
        "408",
        "look at the network of that client, and for a proxy in front that holds bodies back",
        "The body stood still for `request_body_idle_s`, or came at less than `limits.min_body_bytes_per_s`.",
    ),
    Cause.LIMITED_REQUESTS: Advice(
        '429, "requests per minute of ...", "token counts per minute of ..."',
        "look for a client in a loop, or raise `requests_per_minute` of the key, its owner or all",
        "The message says whose limit it is, and how much. `anyrouter usage --by key,cause` says who.",
    ),
    Cause.LIMITED_INPUT_TOKENS: Advice(
        '429, "input tokens per minute of ..."',
        "see whether the client caches its prompts, or raise `input_tokens_per_minute`",
        "Cache reads do not count: a client that sends everything anew each time meets this first.",
    ),
    Cause.LIMITED_OUTPUT_TOKENS: Advice(
        '429, "output tokens per minute of ..."',
        "wait, or raise `output_tokens_per_minute`",
        "A long answer may leave a debt: the next request waits until it is paid.",
    ),
    Cause.LIMITED_IN_FLIGHT: Advice(
        '429, "requests in flight of ..."',
        "raise `max_in_flight`, or let requests wait with `quota.queue_s`",
        "So many run at the moment. Agents run many at once.",
    ),
    Cause.BUDGET_HELD: Advice(
        '429, "held by requests in flight"',
        "wait until they end; when it comes often, raise the budget, or set `quota.hold` to `expected`",
        "Requests in flight may cost what is left of the budget.",
    ),
    Cause.BUDGET_SPENT: Advice(
        '429, "spend limit reached"',
        "raise the budget of the key, its owner or all, or wait until it resets",
        "The message says whose it is, of a day or a month, and when it resets. A raise counts within two seconds.",
    ),
    Cause.LIMITS_UNAVAILABLE: Advice(
        '503, "cannot be checked right now"',
        "bring Redis or the store back, or set `fail: open`",
        "Redis, or the store while the gateway starts, cannot be reached, and the key's limits or budgets say "
        "`fail: closed`. stderr says since when.",
    ),
    Cause.KEYS_UNAVAILABLE: Advice(
        '503, "this key cannot be checked"',
        "bring the store back",
        "It cannot be reached, so nobody knows whether this key is a new one. Known keys go on. stderr says why.",
    ),
    Cause.ADMIN_FORBIDDEN: Advice(
        '403 of the admin API, "may read only"',
        "use a credential of `admin.keys` whose `role` is `write`",
    ),
    Cause.CONFLICT: Advice(
        "409 of the admin API",
        "take another name, or change what the message names where it is kept",
        "The name is or was taken, the key or owner is in the configuration and is changed there, or the owner that "
        "is to go has keys.",
    ),
    Cause.STORE_UNAVAILABLE: Advice(
        '503 of the admin API, "the store"',
        "bring the store back",
        "It does not answer, or a gateway is just making its tables. `GET /admin/v1/ledger` and stderr say since when. "
        "Requests do not need it.",
    ),
}
