"""What a log has shown."""

import io
import json


class Pipe(io.BytesIO):
    def lines(self) -> list[str]:
        """Return the lines without their times."""
        return [line.split(" ", 1)[1] for line in self.getvalue().decode().splitlines()]

    def decoded(self) -> list[dict[str, str]]:
        """Return lines of JSON."""
        return [json.loads(line) for line in self.getvalue().splitlines()]
