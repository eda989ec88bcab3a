"""What the upstream answers, on its way to the client."""
