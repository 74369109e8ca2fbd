import json
import math

import pytest

from dr_backend.job import Event, parse_event
from dr_backend.job.events import EXIT_CODES, KINDS, LAST_KINDS, MAX_LINE


def _example(kind: str) -> Event:
    return Event(kind, dict.fromkeys(KINDS[kind], 1))


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind):
    line = _example(kind).to_line()
    assert line.endswith("\n")
    assert line.count("\n") == 1
    assert parse_event(line) == _example(kind)


def test_any_text_stays_on_one_ascii_line():
    message = "Zeile\nzwei\u2028 — „Müller“ \x00 😀"
    line = Event("warning", {"message": message}).to_line()
    assert line.isascii()
    assert line.count("\n") == 1
    assert parse_event(line).data["message"] == message


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_do_not_leave(number):
    with pytest.raises(ValueError, match="JSON"):
        Event("warning", {"message": number}).to_line()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind]])
def test_a_missing_field_is_noticed_on_both_sides(kind):
    data = _example(kind).data
    lost = data.pop(KINDS[kind][-1])
    assert lost
    with pytest.raises(ValueError, match=KINDS[kind][-1]):
        Event(kind, data).to_line()
    assert parse_event(json.dumps({"event": kind, **data})) is None


def test_unknown_fields_are_kept():
    assert parse_event('{"event": "checkpoint", "step": 3, "new": [1]}').data == {"step": 3, "new": [1]}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "\n",
        "Epoch 3/10",
        "{",
        "{}",
        "[1]",
        "null",
        '{"event": null}',
        '{"event": ["done"], "message": ""}',
        '{"event": "tea"}',
        '{"event": "done", "message": "' + "x" * MAX_LINE + '"}',
        '{"event":' + "[" * 100_000,
        "\x00\ufffd",
    ],
    ids=range(13),
)
def test_garbage_is_no_event(line):
    assert parse_event(line) is None


def test_every_last_kind_has_an_exit_code_of_its_own():
    assert set(EXIT_CODES) == set(LAST_KINDS)
    assert len(set(EXIT_CODES.values())) == len(LAST_KINDS)
