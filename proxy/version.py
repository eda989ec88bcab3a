"""The version, which the package, the commands and the endpoints tell. Pure."""

__version__ = "0.1.0"
