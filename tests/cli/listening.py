"""What the command says once it listens."""

LISTENING = b"listening on http://127.0.0.1:"
