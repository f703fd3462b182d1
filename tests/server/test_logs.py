"""The log: what is written when, and how lines look."""

import io
import json

import pytest

from rhapsode_server.observe.logs import open_log


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().removesuffix("\n").split("\n")]


def test_a_line_is_one_json_object_whatever_stands_in_it() -> None:
    stream = io.StringIO()
    fields = {"text": 'a"b\n\\ü\u2028\x00', "count": 3, "share": 0.25, "no": None, "yes": True, "odd": float("inf")}
    open_log("info", "json", "1.2", stream).info("it's\n", **fields)
    (line,) = lines(stream)
    assert (
        line.items() >= (fields | {"msg": "it's\n", "level": "info", "service": "rhapsode", "version": "1.2"}).items()
    )
    assert len(str(line["ts"])) == len("2026-01-01T00:00:00.000000Z")


def test_a_kept_line_waits_for_the_next_one_and_keeps_its_place() -> None:
    stream = io.StringIO()
    log = open_log("info", "json", "0", stream)
    log.keep("first")
    log.keep("second")
    assert not stream.getvalue()
    log.error("third")
    log.keep("fourth")
    log.flush()
    assert [line["msg"] for line in lines(stream)] == ["first", "second", "third", "fourth"]


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    log = open_log("warning", "json", "0", stream)
    log.debug("a")
    log.info("b")
    log.keep("c")
    log.flush()
    log.warning("d")
    assert [line["msg"] for line in lines(stream)] == ["d"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_is_told_with_its_traceback(form: str) -> None:
    stream = io.StringIO()
    log = open_log("info", "console" if form == "console" else "json", "0", stream)
    with pytest.raises(ValueError, match="cause") as caught:
        raise ValueError("the cause")
    log.error("failed", request_id="abc", exc_info=caught.value)
    for word in ("failed", "abc", "ValueError: the cause", "test_logs.py"):
        assert word in stream.getvalue()
