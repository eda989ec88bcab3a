"""Knobs read the same from a header and from a command line, and refuse what they do not know."""

import argparse
import dataclasses

import pytest

from proxy.sandbox import Knobs, add_arguments, knobs_from


def parsed(*flags: str) -> Knobs:
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--port", type=int)
    add_arguments(parser)
    return knobs_from(parser.parse_args(flags))


def test_header_sets_only_the_named_knobs() -> None:
    base = Knobs(events=3, key="k")
    assert Knobs.parse(" ttfb=0.2, events=64 ,", base) == dataclasses.replace(
        base, ttfb=0.2, events=64
    )


def test_header_without_base_starts_from_the_defaults() -> None:
    assert Knobs.parse("") == Knobs()


def test_a_json_object_may_hold_commas() -> None:
    assert Knobs.parse('events=3, usage = {"a": [1, 2], "b": ","} ,think') == Knobs(
        events=3, usage='{"a": [1, 2], "b": ","}', think=True
    )


@pytest.mark.parametrize("text", ["think", "think=1", "think=true", "think=on"])
def test_switch_is_turned_on(text: str) -> None:
    assert Knobs.parse(text).think


def test_switch_is_turned_off_by_the_header() -> None:
    assert not Knobs.parse("think=0", Knobs(think=True)).think


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour=red", "unknown knob 'colour'"),
        ("events=1,events=2", "events: given twice"),
        ("events=", "events: a value is expected"),
        ("events", "events: a value is expected"),
        ("events=few", "events: invalid literal"),
        ("events=0", "events: 0 is not between 1 and"),
        ("ttfb=nan", "ttfb: nan is not between"),
        ("ttfb=inf", "ttfb: inf is not between"),
        ("think=maybe", "think: 1 or 0 is expected"),
        ("usage=1", "usage: a JSON object is expected"),
        ('usage={"a":1', "usage: a JSON object is expected"),
        ('usage={"a":1},usage={}', "usage: given twice"),
        ("encoding=br", "encoding: 'br' is none of gzip, deflate"),
        ("error=strange_error", "error: 'strange_error' needs a status"),
        ("events=1000000,event_bytes=1000", "more than 33554432 characters together"),
    ],
)
def test_wrong_text_is_refused_with_the_knob_named(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Knobs.parse(text)


def test_every_knob_has_a_flag() -> None:
    given = Knobs(
        ttfb=0.5,
        events=2,
        interval=0.1,
        event_bytes=10,
        cut=-1,
        stall=1,
        status=500,
        error="odd",
        retry_after=3,
        fail_rate=0.5,
        seed=7,
        encoding="gzip",
        overloaded_at=2,
        wrong_length=-4,
        split=9,
        no_stop=True,
        ping=2.0,
        think=True,
        stamp=True,
        echo=2,
        usage='{"input_tokens": 1, "output_tokens": 2}',
        refuse="bio",
        key="k",
        record=True,
        serve_record=True,
    )
    flags: list[str] = []
    for field in dataclasses.fields(Knobs):
        value = getattr(given, field.name)
        assert value != field.default, "the test sets every knob"
        if field.name == "error":
            continue  # needs `--status` beside it; see the next test
        flag = "--" + field.name.replace("_", "-")
        flags += [flag] if value is True else [flag, str(value)]
    assert parsed(*flags) == dataclasses.replace(given, error=None)


def test_flags_that_belong_together_are_read_together() -> None:
    assert parsed("--status", "418", "--error", "teapot_error") == Knobs(
        status=418, error="teapot_error"
    )


def test_flags_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="needs a status"):
        parsed("--error", "teapot_error")


def test_no_flags_mean_the_defaults() -> None:
    assert parsed("--port", "1") == Knobs()


def test_wrong_flag_is_the_parsers_error() -> None:
    with pytest.raises(argparse.ArgumentError, match=r"fail_rate: 2\.0 is not between 0 and 1"):
        parsed("--fail-rate", "2")
