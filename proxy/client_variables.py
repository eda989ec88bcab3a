"""The variables of Claude Code that matter behind a gateway: behind any base URL but the API's own, much is off."""

# What this gateway carries as the API does, since it passes bytes.
SAFE = (
    ("ENABLE_TOOL_SEARCH", "true", "search among the tools of MCP servers"),
    ("CLAUDE_CODE_ENABLE_FINE_GRAINED_TOOL_STREAMING", "1", "tools' input as it is written"),
    ("CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY", "1", "this gateway's models in /model"),
    ("CLAUDE_CODE_PROPAGATE_TRACEPARENT", "1", "traces that go on upstream"),
    ("CLAUDE_CODE_SKIP_FAST_MODE_ORG_CHECK", "1", "fast mode"),
    ("CLAUDE_CODE_GATEWAY_HINT_HEADERS", "1", "what a request is for, told to the gateway"),
)
# What costs more: the user's choice.
COSTLY = (
    ("ENABLE_PROMPT_CACHING_1H", "1", "prompts cached for an hour; costs more"),
    ("CLAUDE_CODE_AUTO_MODE_SERVER", "1", "auto mode's checks by the API; costs more"),
)
