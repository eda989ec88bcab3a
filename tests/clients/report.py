"""The lines a person reads: one for each check, and a count at the end."""

import sys
import threading


class Report:
    """Prints checks as they end and counts them; several threads may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._checks: dict[str, list[str]] = {}
        self.passed = 0
        self.failed = 0

    def ok(self, client: str, what: str) -> None:
        """Note a check that passed."""
        with self._lock:
            self.passed += 1
            self._checks.setdefault(client, []).append(what)
            say(f"ok   {client}: {what}")

    def fail(self, client: str, what: str, why: str) -> None:
        """Note a check that failed."""
        with self._lock:
            self.failed += 1
            self._checks.setdefault(client, []).append(what)
            say(f"FAIL {client}: {what}: {' '.join(why.split()) or 'no reason given'}")

    def check(self, client: str, what: str, why_not: str) -> None:
        """Note a check that passed when there is no reason why not."""
        if why_not:
            self.fail(client, what, why_not)
        else:
            self.ok(client, what)

    def checks(self, client: str) -> list[str]:
        """List the checks of all whose name begins so, passed and failed."""
        return [
            what for name, all_ in self._checks.items() if name.startswith(client) for what in all_
        ]

    def script_line(self, client: str, line: str) -> bool:
        """Take a line of a script that runs inside a client's own runtime; tell whether it was the last."""
        verdict, _, rest = line.partition(" ")
        match verdict:
            case "ok":
                self.ok(client, rest)
            case "FAIL":
                what, _, why = rest.partition(": ")
                self.fail(client, what, why)
        return verdict == "end"

    def close(self) -> int:
        """Print the count and give the exit status; nothing checked is a failure."""
        say(f"{self.passed} passed, {self.failed} failed")
        return 0 if self.passed and not self.failed else 1


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
