"""What the operator sees: one line per request."""
