// The official TypeScript SDK against the gateway; run beside a node_modules that holds it.

import Anthropic from "@anthropic-ai/sdk";
import { check, raised, require, runAll, same } from "./checks.mjs";

const URL = process.env.GATEWAY_URL;
const KEY = process.env.GATEWAY_KEY;
const NARROW_KEY = process.env.GATEWAY_NARROW_KEY;
const WRONG_KEY = process.env.GATEWAY_WRONG_KEY;
const MAX_BODY_BYTES = Number(process.env.GATEWAY_MAX_BODY_BYTES);

const SONNET = "anthropic/claude-sonnet-4.6";
const HAIKU = "anthropic/claude-haiku-4.5";
const HI = [{ role: "user", content: "say hi" }];
const SAID = "You said: say hi";
const CUT_STEP = 61;
const EVENTS = 500;

const BODY = { model: SONNET, max_tokens: 64, messages: HI };
const WEATHER = {
  name: "get_weather",
  description: "Weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const ASKED = { role: "user", content: 'use the tool get_weather with {"city": "Oslo"}' };

const client = (options = {}) => new Anthropic({ baseURL: URL, apiKey: KEY, maxRetries: 0, timeout: 15_000, ...options });
const sandbox = (knobs) => ({ headers: knobs ? { "x-sandbox": knobs } : {} });
const create = (knobs = "", members = {}) => client().messages.create({ ...BODY, ...members }, sandbox(knobs));
const textOf = (message) => message.content.map((block) => block.text ?? "").join("");
const finalText = (knobs) => client().messages.stream(BODY, sandbox(knobs)).finalText();

async function events(knobs = "") {
  const found = [];
  for await (const event of await create(knobs, { stream: true })) found.push(event);
  return found;
}

// --- Answers -----------------------------------------------------------------------------------------------

check("create, with apiKey", async () => {
  const { data, response } = await client().messages.create(BODY).withResponse();
  same([textOf(data), data.model, data.stop_reason], [SAID, SONNET, "end_turn"]);
  require(data.usage.input_tokens > 0 && data.usage.output_tokens > 0, JSON.stringify(data.usage));
  require(response.headers.get("request-id")?.startsWith("req_"), "no request-id");
});

check("create, with authToken", async () => {
  const bearing = new Anthropic({ baseURL: URL, authToken: KEY, maxRetries: 0 });
  same(textOf(await bearing.messages.create(BODY)), SAID);
});

check("create, set up by ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY alone", async () => {
  Object.assign(process.env, { ANTHROPIC_BASE_URL: URL, ANTHROPIC_API_KEY: KEY });
  const usual = new Anthropic();
  delete process.env.ANTHROPIC_BASE_URL;
  delete process.env.ANTHROPIC_API_KEY;
  same(textOf(await usual.messages.create(BODY)), SAID);
});

check("what the upstream sees: body, betas and query as sent; no key of the client", async () => {
  let sent;
  const watching = (url, init) => ((sent = { url, ...init }), fetch(url, init));
  const message = await client({ fetch: watching }).beta.messages.create(
    { ...BODY, betas: ["some-beta-2026-01-01"], unknown_member: { b: 1, a: [1.5, "ä"] } },
    sandbox("echo=2"),
  );
  const seen = JSON.parse(textOf(message));
  const headers = Object.fromEntries(seen.headers.map(([name, value]) => [name.toLowerCase(), value]));
  for (const name of ["anthropic-version", "anthropic-beta", "user-agent"])
    same(headers[name], new Headers(sent.headers).get(name), name);
  same(URL + seen.path_qs, String(sent.url));
  require(!JSON.stringify(seen).includes(KEY), "the client's key reached the upstream");
  const body = Buffer.from(seen.body, "latin1").toString("utf8");
  same(body, String(sent.body).replace(SONNET, "claude-sonnet-4-6"), "body");
});

check("the text helper of a stream", async () => {
  const pieces = [];
  const streamed = client().messages.stream(BODY).on("text", (piece) => pieces.push(piece));
  const message = await streamed.finalMessage();
  require(pieces.length > 1, "one piece only");
  same([pieces.join(""), textOf(message), message.model], [SAID, SAID, SONNET]);
});

check("the raw events of a stream", async () => {
  const kinds = (await events()).map((event) => event.type).filter((kind) => kind !== "ping");
  same(kinds.slice(0, 3), ["message_start", "content_block_start", "content_block_delta"]);
  same(kinds.slice(-3), ["content_block_stop", "message_delta", "message_stop"]);
});

check(`a stream of ${EVENTS} events loses none`, async () => {
  const deltas = (await events(`events=${EVENTS},event_bytes=100`)).filter(
    (event) => event.type === "content_block_delta" && event.delta.text.length === 100,
  );
  same(deltas.length, EVENTS);
});

check("a slow stream arrives as it is sent", async () => {
  const arrivals = [];
  for await (const event of await create("events=6,interval=0.1", { stream: true }))
    if (event.type === "content_block_delta") arrivals.push(performance.now());
  const gaps = arrivals.slice(1).map((after, place) => after - arrivals[place]);
  same(gaps.length, 5);
  require(Math.min(...gaps) > 25, `held back: ${gaps}`);
});

check("a silent stream is kept alive by pings and goes on", async () => {
  require((await finalText("events=2,interval=1.8")).startsWith(SAID), "another text");
});

check("a stream that is left halfway harms nobody", async () => {
  for await (const _ of await create("events=50,interval=0.1", { stream: true })) break;
  same(textOf(await create()), SAID);
});

check("compressed answers, whole and streamed", async () => {
  same(textOf(await create("encoding=gzip")), SAID);
  same(await finalText("encoding=gzip"), SAID);
});

check("a thinking block keeps its signature", async () => {
  const [whole] = (await create("think")).content;
  const [first] = (await client().messages.stream(BODY, sandbox("think")).finalMessage()).content;
  require(whole.type === "thinking" && whole.signature, JSON.stringify(whole));
  same([first.thinking, first.signature], [whole.thinking, whole.signature]);
});

async function finishToolCall(call) {
  const used = call.content.at(-1);
  same([call.stop_reason, used.name, used.input], ["tool_use", "get_weather", { city: "Oslo" }]);
  const result = { type: "tool_result", tool_use_id: used.id, content: "21 degrees" };
  const messages = [ASKED, { role: "assistant", content: call.content }, { role: "user", content: [result] }];
  same(textOf(await create("", { messages, tools: [WEATHER] })), "The tool answered: 21 degrees");
}

check("a tool call and its result", async () => {
  await finishToolCall(await create("", { messages: [ASKED], tools: [WEATHER] }));
});

check("a streamed tool call and its result", async () => {
  const streamed = client().messages.stream({ ...BODY, messages: [ASKED], tools: [WEATHER] });
  await finishToolCall(await streamed.finalMessage());
});

check("countTokens", async () => {
  const counted = await client().messages.countTokens({ model: SONNET, messages: HI, system: "Be brief." });
  require(counted.input_tokens > 0, JSON.stringify(counted));
});

check("the model list, page by page", async () => {
  const listed = [];
  for await (const model of client().models.list({ limit: 1 })) listed.push(model.id);
  same(listed, [SONNET, "anthropic/claude-opus-5.5", HAIKU]);
});

check("one model", async () => {
  const model = await client().models.retrieve(HAIKU);
  same([model.id, model.type], [HAIKU, "model"]);
});

check("40 streams at once", async () => {
  const texts = await Promise.all(Array.from({ length: 40 }, () => finalText("events=4,interval=0.1")));
  same(texts, Array(40).fill(SAID));
});

// --- Errors ------------------------------------------------------------------------------------------------

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

// --- Broken streams ----------------------------------------------------------------------------------------

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

await runAll();
process.exit(0);
