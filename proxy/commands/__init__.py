"""The commands, one module each: `add_parser` describes it, `run` carries it out and gives the exit status."""
