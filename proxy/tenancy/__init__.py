"""Who may use how much, what it costs, and where that is kept: limits, prices, ledger and managed keys at a request."""
