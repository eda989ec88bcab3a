"""The admin API: keys, owners, usage and limits, on a listener and with credentials of its own."""
