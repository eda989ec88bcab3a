// What a script is given to work with, and what the sandbox behind the gateway answers to it.

export const IN_BROWSER = globalThis.window !== undefined;

// A browser's page has no environment; the one that brings the script here holds it as GATEWAY.
const given = IN_BROWSER ? globalThis.GATEWAY : process.env;
export const URL = given.GATEWAY_URL;
export const KEY = given.GATEWAY_KEY;
export const NARROW_KEY = given.GATEWAY_NARROW_KEY;
export const WRONG_KEY = given.GATEWAY_WRONG_KEY;
export const MAX_BODY_BYTES = Number(given.GATEWAY_MAX_BODY_BYTES);

export const SONNET = "anthropic/claude-sonnet-4.6";
export const HAIKU = "anthropic/claude-haiku-4.5";
// The model list begins with what the configuration names; what its wildcard stands for follows.
export const NAMED = [SONNET, "anthropic/claude-opus-5.5", HAIKU];
export const SAY_HI = "say hi";
export const SAID = "You said: say hi";

export const USE_TOOL = 'use the tool get_weather with {"city": "Oslo"}';
export const CITY = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
export const TOOL_RESULT = "21 degrees";
export const TOOL_SAID = "The tool answered: 21 degrees";

/** Give the header that tells the sandbox how to answer. */
export const sandbox = (knobs) => ({ headers: knobs ? { "x-sandbox": knobs } : {} });
