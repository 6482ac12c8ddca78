"""Starting and stopping the whole system."""
import signal
import time

import pytest

from server import SLOWER


@pytest.mark.tsan
def test_SD_144_runs_in_the_foreground_until_it_is_told_to_stop(mail):
    assert mail.process.poll() is None
    assert "Posthorn is running" in mail.output_tail()
    started = mail.pids()
    assert len(started) > 5
    mail.process.send_signal(signal.SIGTERM)
    assert mail.process.wait(10 * SLOWER) == 0
    assert not mail.pids()
    mail.process = None


def test_is_ready_in_two_seconds(make_mail):
    mail = make_mail(start=False)
    began = time.monotonic()
    mail.start()
    assert time.monotonic() - began < 2 * SLOWER


@pytest.mark.tsan
def test_SD_145_starts_over_what_a_crash_left(mail):
    mail.kill_all()
    mail.start()
    mail.stop()
    mail.start()
