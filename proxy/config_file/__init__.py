"""From `config.yaml` to a `Config`, or one line that says what is wrong."""
