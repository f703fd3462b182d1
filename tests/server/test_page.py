"""The page is made in slices, one at a time, and not more often than it may cost."""

import gzip
import itertools
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.exposition import choose_encoder

from rhapsode_server.observe.page import CREDIT, OPEN_METRICS, PAUSE, SHARE, Form, Pages

COST = CREDIT / 3.5  # of a page
EVERY_FORM = [Form(open_metrics, packed) for open_metrics in (False, True) for packed in (False, True)]


class Slow:
    """A registry that says how often it has been read, and how many readers it had at most.

    Each reading costs COST, and waits until it may go on.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.worked = 0.0
        self.read = 0
        self.readers = 0
        self.most_readers = 0
        self.being_read = threading.Event()
        self.go = threading.Event()
        self.go.set()

    def collect(self) -> Iterator[Metric]:
        self.readers += 1
        self.most_readers = max(self.most_readers, self.readers)
        self.read += 1
        self.worked += COST
        number = self.read
        self.being_read.set()
        assert self.go.wait(60)
        family = Metric("read", "Times.", "gauge")
        family.add_sample("read", {}, number)
        yield family
        self.readers -= 1

    def pages(self) -> Pages:
        return Pages(self, lambda: self.now, lambda: self.worked)


def ask(slow: Slow, pages: Pages, form: Form = Form()) -> int:  # noqa: B008 - frozen
    """Ask for a page, a moment after the last one: which reading it shows."""
    slow.now += 1e-6
    return int(float(pages.get(form).body.split()[-1]))


def test_a_page_is_fresh_until_the_credit_is_spent() -> None:
    slow = Slow()
    pages = slow.pages()
    assert [ask(slow, pages) for _ in range(7)] == [1, 2, 3, 4, 4, 4, 4]


def test_after_that_a_share_of_the_time_goes_into_pages() -> None:
    slow = Slow()
    pages = slow.pages()
    for _ in range(100_000):
        slow.now += 0.01
        ask(slow, pages)
    assert slow.worked == pytest.approx(CREDIT + SHARE * slow.now, rel=0.02)


def test_a_rest_brings_the_credit_back_and_no_more() -> None:
    slow = Slow()
    pages = slow.pages()
    for _ in range(10):
        ask(slow, pages)
    slow.now += 1000 * CREDIT / SHARE
    assert [ask(slow, pages) for _ in range(6)] == [5, 6, 7, 8, 8, 8]


def test_all_forms_share_the_credit() -> None:
    slow = Slow()
    pages = slow.pages()
    for _ in range(4):
        ask(slow, pages)
    assert pages.get(Form(open_metrics=True)).body.endswith(b"read 5.0\n# EOF\n")  # there is no older one
    assert ask(slow, pages) == 4


def test_pages_are_made_one_at_a_time_and_asked_for_before_they_are_begun() -> None:
    slow = Slow()
    slow.go.clear()
    moments = itertools.count()

    def clock() -> float:
        now = next(moments)
        if now == 2 + 7:  # the first page was asked for and begun, and seven have asked since
            slow.go.set()
        return now

    pages = Pages(slow, clock, worked=lambda: 0.0)
    with ThreadPoolExecutor(8) as threads:
        first = threads.submit(pages.get, Form())
        assert slow.being_read.wait(60)
        others = [threads.submit(pages.get, Form()) for _ in range(7)]
        got = [int(float(each.result(60).body.split()[-1])) for each in (first, *others)]
    assert got == [1] + 7 * [2]
    assert slow.most_readers == 1


@pytest.mark.parametrize("form", EVERY_FORM, ids=str)
def test_slices_change_nothing_but_the_time(form: Form) -> None:
    registry = CollectorRegistry()
    gauge = Gauge("many", "Many.", ["number"], registry=registry)
    for number in range(5_000):
        gauge.labels(str(number))
    began, worked = time.perf_counter(), time.thread_time()
    page = Pages(registry).get(form)
    rested = (time.perf_counter() - began) - (time.thread_time() - worked)
    assert rested >= 5 * PAUSE
    at_once, content_type = choose_encoder(OPEN_METRICS if form.open_metrics else "")
    assert (gzip.decompress(page.body) if form.packed else page.body) == at_once(registry)
    assert page.content_type == content_type
