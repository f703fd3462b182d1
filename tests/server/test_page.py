"""The page is made in slices, one at a time, and not more often than it may cost."""

import gzip
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.exposition import choose_encoder

from rhapsode_server.observe.page import CREDIT, OPEN_METRICS, PAUSE, SHARE, Form, Page, Pages

COST = CREDIT / 3.5  # of a page
EVERY_FORM = [Form(open_metrics, packed) for open_metrics in (False, True) for packed in (False, True)]


class Slow:
    """A registry that says how often it has been read, and how many readers it had at most; each reading costs COST."""

    def __init__(self) -> None:
        self.now = 0.0
        self.worked = 0.0
        self.read = 0
        self.readers = 0
        self.most_readers = 0

    def collect(self) -> Iterator[Metric]:
        self.readers += 1
        self.most_readers = max(self.most_readers, self.readers)
        self.read += 1
        self.worked += COST
        family = Metric("read", "Times.", "gauge")
        family.add_sample("read", {}, self.read)
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
    pages = Pages(slow, worked=lambda: 0.0)
    everybody = threading.Barrier(8)

    def get() -> tuple[float, Page]:
        everybody.wait(30)
        asked = time.monotonic()
        return asked, pages.get(Form())

    with ThreadPoolExecutor(8) as threads:
        got = [each.result() for each in [threads.submit(get) for _ in range(8)]]
    assert all(page.began >= asked for asked, page in got)
    assert slow.most_readers == 1
    assert slow.read <= 8


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
