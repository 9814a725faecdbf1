"""The lines of the log."""

import json
import logging
import logging.config

import pytest

from app.logs import JsonFormatter, log_config

LOGGERS = ("gradstep", "uvicorn", "uvicorn.error", "uvicorn.access")


def test_an_object_a_line() -> None:
    record = logging.LogRecord("gradstep", logging.WARNING, "path", 1, "slow: %s\nand more", ("zebra",), None)
    record.created = 1_795_000_000.25
    record.fields = {"request_id": "4bf9", "seconds": 1.5}
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "2026-11-18T11:06:40.250+00:00",
        "level": "warning",
        "logger": "gradstep",
        "message": "slow: zebra\nand more",
        "request_id": "4bf9",
        "seconds": 1.5,
    }


def test_a_fault_with_its_traceback() -> None:
    try:
        raise ZeroDivisionError("zebra")
    except ZeroDivisionError as error:
        record = logging.LogRecord("x", logging.ERROR, "p", 1, "fault", (), (type(error), error, error.__traceback__))
    line = json.loads(JsonFormatter().format(record))
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ZeroDivisionError: zebra")


@pytest.mark.parametrize("style", ["text", "json"])
def test_every_log_goes_the_same_way(style: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: (*vars(logging.getLogger(name)).items(),) for name in LOGGERS}
    try:
        logging.config.dictConfig(log_config(style))
        logging.getLogger("gradstep").warning("zebra")
        logging.getLogger("uvicorn.error").info("lion")
        logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "1.2.3.4", "GET", "/", "1.1", 200)
    finally:
        for name, attributes in before.items():
            vars(logging.getLogger(name)).update(attributes)
            logging.getLogger(name).manager._clear_cache()  # type: ignore[attr-defined]
    said = capsys.readouterr()
    lines = [*said.err.splitlines(), *said.out.splitlines()]
    if style == "json":
        assert [json.loads(line)["message"] for line in lines] == ["zebra", "lion", '1.2.3.4 - "GET / HTTP/1.1" 200']
    else:
        assert [line.split(maxsplit=1)[1].strip() for line in lines] == [
            "zebra", "lion", '1.2.3.4 - "GET / HTTP/1.1" 200 OK',
        ]  # fmt: skip
