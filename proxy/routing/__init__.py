"""From a model id to what serves it. Pure, as a folder."""
