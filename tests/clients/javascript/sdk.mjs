// The official TypeScript SDK against the gateway, in Node beside a node_modules that holds it, or bundled in a browser.

import Anthropic from "@anthropic-ai/sdk";
import { check, require, runAll, same } from "./checks.mjs";
import {
  CITY, HAIKU, IN_BROWSER, KEY, NAMED, SAID, SONNET, TOOL_RESULT, TOOL_SAID, URL, USE_TOOL, sandbox,
} from "./given.mjs";
import { BODY, HI, client, create, events, finalText, textOf } from "./sdk_client.mjs";
import "./sdk_errors.mjs";

const EVENTS = 500;
const WEATHER = { name: "get_weather", description: "Weather of a city", input_schema: CITY };
const ASKED = { role: "user", content: USE_TOOL };

check("a message, with apiKey", async () => {
  const { data, response } = await client().messages.create(BODY).withResponse();
  same([textOf(data), data.model, data.stop_reason], [SAID, SONNET, "end_turn"]);
  require(data.usage.input_tokens > 0 && data.usage.output_tokens > 0, JSON.stringify(data.usage));
  require(response.headers.get("request-id")?.startsWith("req_"), "no request-id");
});

check("a message, with authToken", async () => {
  const bearing = client({ apiKey: null, authToken: KEY });
  same(textOf(await bearing.messages.create(BODY)), SAID);
});

if (!IN_BROWSER)
  check("a message, set up by ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY alone", async () => {
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
  // A page may not set its user agent.
  for (const name of ["anthropic-version", "anthropic-beta", ...(IN_BROWSER ? [] : ["user-agent"])])
    same(headers[name], new Headers(sent.headers).get(name), name);
  same(URL + seen.path_qs, String(sent.url));
  require(!JSON.stringify(seen).includes(KEY), "the client's key reached the upstream");
  const body = new TextDecoder().decode(Uint8Array.from(seen.body, (byte) => byte.charCodeAt(0)));
  same(body, String(sent.body).replace(SONNET, "claude-sonnet-4-6"), "body");
});

if (IN_BROWSER)
  check("nothing that only browsers send reaches the upstream", async () => {
    const seen = JSON.parse(textOf(await create("echo=2")));
    const names = seen.headers.map(([name]) => name.toLowerCase());
    same(names.filter((name) => /^(origin|referer|sec-.*)$/.test(name)), []);
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
  const result = { type: "tool_result", tool_use_id: used.id, content: TOOL_RESULT };
  const messages = [ASKED, { role: "assistant", content: call.content }, { role: "user", content: [result] }];
  same(textOf(await create("", { messages, tools: [WEATHER] })), TOOL_SAID);
}

check("a tool call and its result", async () => {
  await finishToolCall(await create("", { messages: [ASKED], tools: [WEATHER] }));
});

check("a streamed tool call and its result", async () => {
  const streamed = client().messages.stream({ ...BODY, messages: [ASKED], tools: [WEATHER] });
  await finishToolCall(await streamed.finalMessage());
});

check("count_tokens", async () => {
  const counted = await client().messages.countTokens({ model: SONNET, messages: HI, system: "Be brief." });
  require(counted.input_tokens > 0, JSON.stringify(counted));
});

check("the model list, page by page", async () => {
  const listed = [];
  for await (const model of client().models.list({ limit: 1 })) listed.push(model.id);
  same(listed.slice(0, NAMED.length), NAMED);
  same(listed.length, new Set(listed).size, "different ids");
});

check("one model", async () => {
  const model = await client().models.retrieve(HAIKU);
  same([model.id, model.type], [HAIKU, "model"]);
});

check("40 streams at once", async () => {
  const texts = await Promise.all(Array.from({ length: 40 }, () => finalText("events=4,interval=0.1")));
  same(texts, Array(40).fill(SAID));
});

await runAll();
if (!IN_BROWSER) process.exit(0);
