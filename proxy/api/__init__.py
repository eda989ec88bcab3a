"""The endpoints and the chain in front of them."""
