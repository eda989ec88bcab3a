// The official TypeScript SDK, pointed at the gateway.

import Anthropic from "@anthropic-ai/sdk";
import { KEY, SAY_HI, SONNET, URL, sandbox } from "./given.mjs";

export const HI = [{ role: "user", content: SAY_HI }];
export const BODY = { model: SONNET, max_tokens: 64, messages: HI };

const USUAL = { baseURL: URL, apiKey: KEY, maxRetries: 0, timeout: 15_000, dangerouslyAllowBrowser: true };

export const client = (options = {}) => new Anthropic({ ...USUAL, ...options });
export const create = (knobs = "", members = {}) => client().messages.create({ ...BODY, ...members }, sandbox(knobs));
export const textOf = (message) => message.content.map((block) => block.text ?? "").join("");
export const finalText = (knobs) => client().messages.stream(BODY, sandbox(knobs)).finalText();

export async function events(knobs = "") {
  const found = [];
  for await (const event of await create(knobs, { stream: true })) found.push(event);
  return found;
}
