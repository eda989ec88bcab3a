"""The way to the servers that speak the Messages API, and what can fail on it."""
