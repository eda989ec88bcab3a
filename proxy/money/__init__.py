"""What a request cost: from the upstream's usage to integer micro-dollars, and what to expect before it is known."""
