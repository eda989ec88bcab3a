# noqa: INP001 - a script of the image, not of a package
"""Tell whether a server of this container is up: `healthcheck.py [PORT [PATH]]` exits 0 when it answers 200.

It runs every few seconds for as long as the container lives, so it imports no more than `socket`; and `ssl` where the
server speaks TLS (`listen.tls`), whose certificate is for other names than this machine's own.
"""

import socket
import sys

port, path = (*sys.argv[1:], *("8080", "/healthz")[len(sys.argv) - 1 :])
request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n"


def ask(*, tls: bool) -> bytes:
    """Return the first line of what answers."""
    with socket.create_connection(("127.0.0.1", int(port)), timeout=3) as connection:
        if tls:
            import ssl  # noqa: PLC0415 - as the module says

            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            connection = context.wrap_socket(connection)  # noqa: PLW2901 - closed with the one below it
        with connection:
            connection.sendall(request.encode())
            return connection.makefile("rb").readline().strip()


try:
    try:
        status_line = ask(tls=False)
    except ConnectionResetError:  # by one that speaks TLS, perhaps
        status_line = b""
    if not status_line.startswith(b"HTTP/"):
        status_line = ask(tls=True)
except OSError as error:
    sys.exit(f"{path}: {error}")
if b" 200 " not in status_line:
    sys.exit(f"{path}: {status_line.decode(errors='replace') or 'no answer'}")
