"""Who spent what: one row for each request with a known key, on its way to the store and back from there."""
