// What the TypeScript SDK makes of failures; no half answer passes for a whole one.

import Anthropic from "@anthropic-ai/sdk";
import { check, raised, require, same } from "./checks.mjs";
import { MAX_BODY_BYTES, NARROW_KEY, SAID, SONNET, WRONG_KEY, sandbox } from "./given.mjs";
import { BODY, client, create, events, finalText, textOf } from "./sdk_client.mjs";

const CUT_STEP = 61;

function is(error, status, type, name, text) {
  // A class has another name, or a nearer one, in newer releases.
  const known = name.split(" ").map((each) => Anthropic[each]).filter(Boolean);
  require(known.some((each) => error instanceof each), `${error?.constructor?.name} is not ${name}: ${error?.message}`);
  same([error.status, error.error?.error?.type], [status, type]);
  require(error.message.includes(text), `${error.message} does not say ${text}`);
  require(error.requestID?.startsWith("req_"), `no request id: ${error.requestID}`);
}

const FROM_UPSTREAM = [
  [400, "invalid_request_error", "BadRequestError"],
  [402, "billing_error", "PaymentRequiredError APIError"],
  [403, "permission_error", "PermissionDeniedError"],
  [404, "not_found_error", "NotFoundError"],
  [409, "conflict_error", "ConflictError"],
  [413, "request_too_large", "ContentTooLargeError APIError"],
  [422, "invalid_request_error", "UnprocessableEntityError"],
  [429, "rate_limit_error", "RateLimitError"],
  [500, "api_error", "InternalServerError"],
  [504, "timeout_error", "GatewayTimeoutError InternalServerError"],
  [529, "overloaded_error", "OverloadedError InternalServerError"],
];
for (const [status, type, name] of FROM_UPSTREAM)
  check(`the upstream's ${status} is ${name.split(" ")[0]}, whole and streamed`, async () => {
    for (const attempt of [create, events]) {
      const error = await raised(() => attempt(`status=${status},retry_after=7`));
      is(error, status, type, name, `The sandbox answers ${status}, as it was asked to`);
      same(error.headers.get("retry-after"), "7");
    }
  });

check("a wrong key is AuthenticationError, by both headers, asked once", async () => {
  for (const credential of [{ apiKey: WRONG_KEY }, { apiKey: null, authToken: WRONG_KEY }]) {
    let asked = 0;
    const counting = (...request) => ((asked += 1), fetch(...request));
    const error = await raised(() => client({ ...credential, maxRetries: 2, fetch: counting }).messages.create(BODY));
    is(error, 401, "authentication_error", "AuthenticationError", "gateway key");
    same([asked, error.headers.get("x-should-retry")], [1, "false"]);
  }
});

check("a key that may not use the model is PermissionDeniedError", async () => {
  const error = await raised(() => client({ apiKey: NARROW_KEY }).messages.create(BODY));
  is(error, 403, "permission_error", "PermissionDeniedError", SONNET);
});

check("another vendor's and an unknown model are NotFoundError", async () => {
  const other = await raised(() => create("", { model: "openai/gpt-4o" }));
  is(other, 404, "not_found_error", "NotFoundError", "which this gateway does not serve");
  const unknown = await raised(() => create("", { model: "anthropic/nothing" }));
  is(unknown, 404, "not_found_error", "NotFoundError", "model: ");
});

check("a wrong body is BadRequestError and names the field", async () => {
  const error = await raised(() => create("", { messages: [{ content: "no role" }] }));
  is(error, 400, "invalid_request_error", "BadRequestError", "messages.0.role: ");
});

check("a body that is too large is refused, and the client reads why", async () => {
  for (const size of [MAX_BODY_BYTES + 1, 5 * MAX_BODY_BYTES]) {
    const error = await raised(() => create("", { messages: [{ role: "user", content: "x".repeat(size) }] }));
    is(error, 413, "request_too_large", "ContentTooLargeError APIError", String(MAX_BODY_BYTES));
  }
});

check("the upstream refusing the gateway's credential is a 502, asked once", async () => {
  let asked = 0;
  const counting = (...request) => ((asked += 1), fetch(...request));
  const using = client({ maxRetries: 2, fetch: counting });
  const error = await raised(() => using.messages.create(BODY, sandbox("error=authentication_error")));
  is(error, 502, "api_error", "InternalServerError", "the gateway's own credential");
  same(asked, 1);
});

check("no answer or a broken one is a 502", async () => {
  for (const attempt of [create, events])
    is(await raised(() => attempt("cut=-1")), 502, "api_error", "InternalServerError", "the upstream");
  for (const knobs of ["cut=50", "wrong_length=10", "wrong_length=-10"])
    is(await raised(() => create(knobs)), 502, "api_error", "InternalServerError", "the upstream");
});

check("an upstream that is too slow is a 504", async () => {
  for (const attempt of [create, events]) {
    const error = await raised(() => attempt("ttfb=4"));
    is(error, 504, "timeout_error", "GatewayTimeoutError InternalServerError", "the upstream");
  }
});

check("a client that does not wait gets its own APIConnectionTimeoutError", async () => {
  const error = await raised(() => client({ timeout: 300 }).messages.create(BODY, sandbox("ttfb=1.5")));
  require(error instanceof Anthropic.APIConnectionTimeoutError, String(error));
  same(textOf(await create()), SAID);
});

// The SDK lets fetch's own error through when the connection breaks: a TypeError.
const isBrokenStream = (error) =>
  require(error instanceof Anthropic.AnthropicError || error instanceof TypeError, `${error?.constructor?.name}: ${error}`);

check(`a stream cut every ${CUT_STEP} bytes is always an error`, async () => {
  let broken = 0;
  for (let after = 0; ; after += CUT_STEP) {
    let kinds;
    try {
      kinds = (await events(`cut=${after}`)).map((event) => event.type);
    } catch (error) {
      isBrokenStream(error);
      broken += 1;
      continue;
    }
    require(kinds.includes("message_stop"), `cut after ${after} bytes: a clean end of ${kinds}`);
    break;
  }
  require(broken > 10, `only ${broken} streams broke`);
});

check("the text helper never takes a broken stream for a whole one", async () => {
  for (const knobs of ["cut=900", "no_stop", "encoding=gzip,cut=150"])
    isBrokenStream(await raised(() => finalText(knobs)));
});

check("an overload inside a stream is an error of that type", async () => {
  const error = await raised(() => finalText("overloaded_at=4"));
  require(error instanceof Anthropic.APIError, String(error));
  require(error.message.includes("overloaded_error"), error.message);
});

check("a stream that stalls for good ends in a timeout error", async () => {
  const error = await raised(() => finalText("stall=4"));
  require(error instanceof Anthropic.APIError, String(error));
  require(error.message.includes("timeout_error"), error.message);
});
