"""What a signal asks for, with real signals to this process."""

import os
import signal
import threading
import time

import pytest

from bertsmith.training.signals import stop_on_signal


def test_the_first_signal_is_noted_and_nothing_is_interrupted():
    with stop_on_signal() as stop:
        assert not stop()
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop()
        assert stop.name == "SIGTERM"


def test_a_request_that_arrives_twice_at_once_is_one():
    with stop_on_signal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.name == "SIGTERM"


def test_one_more_after_two_seconds_interrupts():
    with pytest.raises(KeyboardInterrupt), stop_on_signal():
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(2.1)
        os.kill(os.getpid(), signal.SIGINT)


def test_in_another_thread_nothing_is_asked_for_and_the_work_is_done():
    done = []

    def work():
        with stop_on_signal() as stop:
            done.append(stop())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [False]


def test_afterwards_signals_mean_what_they_meant_before():
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signal():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
