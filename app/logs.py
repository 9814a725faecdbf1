"""The server's log: lines to read, or with `GRADSTEP_LOG_FORMAT=json` an object a line, for a collector."""

import copy
import json
import logging
from datetime import UTC, datetime
from typing import Any

from uvicorn.config import LOGGING_CONFIG


class JsonFormatter(logging.Formatter):
    """A record as JSON; what it was given as `extra={"fields": {…}}` lies beside its message."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def log_config(style: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: uvicorn's own, for our log too."""
    config = copy.deepcopy(LOGGING_CONFIG)
    config["loggers"]["gradstep"] = {"handlers": ["default"], "level": "INFO", "propagate": False}
    if style == "json":
        config["formatters"] = {name: {"()": JsonFormatter} for name in config["formatters"]}
    return config
