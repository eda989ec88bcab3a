// The AI SDK and its Anthropic provider against the gateway; run beside a node_modules that holds them.

import { createAnthropic } from "@ai-sdk/anthropic";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { check, raised, require, runAll, same } from "./checks.mjs";
import { CITY, KEY, SAID, SAY_HI, SONNET, TOOL_RESULT, TOOL_SAID, URL, USE_TOOL, WRONG_KEY, sandbox } from "./given.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;

const asked = (knobs = "", apiKey = KEY) => ({
  model: createAnthropic({ baseURL: URL, apiKey })(SONNET),
  prompt: SAY_HI,
  maxOutputTokens: 64,
  maxRetries: 0,
  ...sandbox(knobs),
});

/** Read a stream's text to its end; an error inside it is thrown. */
async function pieces(knobs = "") {
  const texts = [];
  for await (const part of streamText({ ...asked(knobs), onError() {} }).fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") texts.push(part.text);
  }
  return texts;
}

check("a message", async () => {
  const { text, usage, response } = await generateText(asked());
  same([text, response.modelId], [SAID, SONNET]);
  require(usage.inputTokens > 0 && usage.outputTokens > 0, JSON.stringify(usage));
});

check("a stream", async () => {
  const texts = await pieces();
  require(texts.length > 1, "one piece only");
  same(texts.join(""), SAID);
});

check("a tool call and its result", async () => {
  const cities = [];
  const execute = ({ city }) => (cities.push(city), TOOL_RESULT);
  const get_weather = tool({ description: "Weather of a city", inputSchema: jsonSchema(CITY), execute });
  const told = { ...asked(), prompt: USE_TOOL, tools: { get_weather }, stopWhen: stepCountIs(3) };
  same([(await generateText(told)).text, cities], [TOOL_SAID, ["Oslo"]]);
});

check("a wrong key is AI_APICallError, asked once", async () => {
  const error = await raised(() => generateText({ ...asked("", WRONG_KEY), maxRetries: 2 }));
  same([error.name, error.statusCode, error.isRetryable], ["AI_APICallError", 401, false]);
  require(error.message.includes("gateway key"), error.message);
});

check("the upstream's 529 is AI_APICallError", async () => {
  const error = await raised(() => generateText(asked("status=529")));
  same([error.name, error.statusCode, error.isRetryable], ["AI_APICallError", 529, true]);
});

check("a broken stream is an error", async () => {
  for (const knobs of ["cut=900", "overloaded_at=4", "stall=4"]) await raised(() => pieces(knobs));
});

await runAll();
process.exit(0);
