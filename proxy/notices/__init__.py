"""What the operator is told when something goes wrong, and what to do about it. Pure."""
