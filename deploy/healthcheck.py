# noqa: INP001 - a script of the image, not of a package
"""Tell whether a server of this container is up: `healthcheck.py [PORT [PATH]]` exits 0 when it answers 200.

It runs every few seconds for as long as the container lives, so it imports no more than `socket`.
"""

import socket
import sys

port, path = (*sys.argv[1:], *("8080", "/healthz")[len(sys.argv) - 1 :])
request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"
with socket.socket() as connection:
    connection.settimeout(3)
    try:
        connection.connect(("127.0.0.1", int(port)))
        connection.sendall(request.encode())
        status_line = connection.makefile("rb").readline().strip()
    except OSError as error:
        sys.exit(f"{path}: {error}")
if b" 200 " not in status_line:
    sys.exit(f"{path}: {status_line.decode(errors='replace') or 'no answer'}")
