"""How a line of our own log is written: without secrets, without controls, a refusal without its traceback."""

import logging
import re

from monitoring import redact

REFUSED = range(400, 500)
# a terminal would obey them; new line and tab stay
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


class Line(logging.Formatter):
    """Writes a record; a 4xx is one line: nothing broke, and its traceback would hide what did."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        if getattr(record, "status_code", 0) in REFUSED:
            record = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", redact.text(super().format(record)))
