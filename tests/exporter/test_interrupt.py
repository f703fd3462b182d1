"""The first signal is a request, the second acts as it did before."""

import signal

import pytest

from rhapsode_exporter.run.interrupt import Interrupt


@pytest.mark.parametrize("number", Interrupt.SIGNALS)
def test_the_first_signal_only_asks(number: signal.Signals) -> None:
    with Interrupt() as interrupt:
        assert not interrupt.requested
        signal.raise_signal(number)
        assert interrupt.requested


def test_the_second_signal_ends_at_once() -> None:
    with Interrupt() as interrupt:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupt.requested


def test_the_handlers_that_were_found_are_back() -> None:
    before = [signal.getsignal(number) for number in Interrupt.SIGNALS]
    with Interrupt():
        assert [signal.getsignal(number) for number in Interrupt.SIGNALS] != before
    assert [signal.getsignal(number) for number in Interrupt.SIGNALS] == before


def test_they_are_back_after_a_signal_too() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) == before
