"""The log for programs: one JSON object per line.

Does not know: where the lines go, or what is logged.
"""

import json
import logging
from datetime import UTC, datetime

FIELDS = ("request_id", "key_id", "trace_id", "client", "method", "path", "route", "status", "ms")


class JsonLines(logging.Formatter):
    """`time`, `level`, `logger`, `message`; what is known of the request; `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in FIELDS:
            value = getattr(record, name, None)
            if value not in (None, "", "-"):
                line[name] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        # Escaped to ASCII: half a surrogate pair must not break the line.
        return json.dumps(line, default=str)
