"""What the tests over sockets share: a gateway that really listens, upstreams that lie, clients that send raw bytes."""
