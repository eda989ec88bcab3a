"""The server's side: who may connect, how long a head may take, listening, draining, several processes."""
