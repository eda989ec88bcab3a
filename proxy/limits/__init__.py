"""What keys, their owners and all together may use: rates, requests in flight, budgets."""
