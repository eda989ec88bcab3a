"""The demo: a gateway, a sandbox behind it, and the pages beside it, in one process."""
