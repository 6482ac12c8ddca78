"""
Fixtures of the end-to-end tests.

mail         a running Posthorn (server.Server) with anna@example.org and ben@example.org; options by
             a mark: @pytest.mark.mail(users={...}, config="...", dns=..., relay_to=...)
make_mail    starts one with options of its own: make_mail(users={...})
smtp_peer    makes an SMTP server on the other side: smtp_peer(replies={"RCPT": "450 4.2.1 later"})
figures      a list; what a test puts there is printed at the end of the run
nsd          serves zones: nsd({"far.example": "@ MX 10 mx\\nmx A 127.0.0.2"}).address

POSTHORN names the executable to test; default build/src/posthorn.
"""
import contextlib
import faulthandler
import shutil
import signal

import pytest

import peers
import server

LIMIT = 120  # seconds for one test; @pytest.mark.slow: ten times as many


def pytest_configure(config):
    config.figures = []
    config.addinivalue_line("markers", "mail(**options): options of the `mail` fixture")
    config.addinivalue_line("markers", "slow: takes long; left out under sanitizers")
    config.addinivalue_line("markers", "tsan: runs under ThreadSanitizer too")


def pytest_terminal_summary(terminalreporter, config):
    for figure in config.figures:
        terminalreporter.write_line(figure)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        item.failed = True
        for mail in getattr(item, "posthorns", []):
            report.sections.append((f"output of {mail.dir.name}", mail.output_tail()))
            report.sections.append((f"log of {mail.dir.name}", mail.log()[-8000:]))


@pytest.fixture(autouse=True)
def limit(request):
    def too_long(*_):
        faulthandler.dump_traceback()
        pytest.fail("took too long")

    seconds = LIMIT * server.SLOWER * (10 if request.node.get_closest_marker("slow") else 1)
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


@pytest.fixture
def figures(request):
    return request.config.figures


@pytest.fixture
def make_mail(request, tmp_path):
    with contextlib.ExitStack() as stack:
        request.node.posthorns = []

        def make(start=True, **options):
            number = len(request.node.posthorns)
            mail = server.Server(tmp_path / f"posthorn{number or ''}", **options)
            stack.callback(mail.close)
            request.node.posthorns.append(mail)
            return mail.start() if start else mail

        yield make
        for mail in request.node.posthorns:
            mail.stop()
            # Its journal is large and of no use any more; what a failed test left is looked at.
            if not getattr(request.node, "failed", False):
                shutil.rmtree(mail.dir, ignore_errors=True)


@pytest.fixture
def mail(request, make_mail):
    mark = request.node.get_closest_marker("mail")
    return make_mail(**(mark.kwargs if mark else {}))


@pytest.fixture
def smtp_peer():
    with contextlib.ExitStack() as stack:

        def make(**options):
            return stack.enter_context(contextlib.closing(peers.SmtpPeer(**options)))

        yield make


@pytest.fixture
def nsd(tmp_path):
    with contextlib.ExitStack() as stack:

        def make(zones, **options):
            folder = tmp_path / f"nsd{len(list(tmp_path.glob('nsd*')))}"
            return stack.enter_context(contextlib.closing(peers.Nsd(folder, zones, **options)))

        yield make
