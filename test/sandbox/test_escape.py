"""Each service tries to get out, as one taken over would; the kernel must say no."""
import re

import pytest

SERVICES = ["log", "keys", "hash", "resolver", "directory", "queue", "mailbox", "deliver", "relay",
            "smtpd", "submit", "login", "control", "account"]
# What the table grants: the template forks, two services speak to the Internet.
GRANTED = {("mailbox", "fork"), ("resolver", "internet-socket"), ("relay", "internet-socket")}
ATTEMPT = re.compile(r"escape who=(\S+), attempt=(\S+), result=(\w+)(?:, error=(\S+))?")


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    import server
    mail = server.Server(tmp_path_factory.mktemp("escape") / "posthorn")
    try:
        mail.start(env={"POSTHORN_TEST_HOOKS": "escape"})
        mail.send("someone@far.example", ["anna@example.org"], "Subject: hi\r\n\r\nhello\r\n")
        mail.wait_messages("anna@example.org", 1)
        mail.stop()
        # The log cannot log its own attempts; they go to its stderr.
        text = mail.log() + mail.output.read_text()
    finally:
        mail.close()
    found = {}
    for who, attempt, result, error in ATTEMPT.findall(text):
        found.setdefault(who, {})[attempt] = (result, error)
    return found


@pytest.mark.parametrize("service", SERVICES)
def test_service_stays_inside(attempts, service):
    assert service in attempts, f"{service} did not report: {sorted(attempts)}"
    assert len(attempts[service]) >= 16
    through = {name for name, (result, _) in attempts[service].items() if result != "denied"}
    assert through == {name for who, name in GRANTED if who == service}


@pytest.mark.parametrize("service", SERVICES)
def test_kernel_said_why(attempts, service):
    for name, (result, error) in attempts[service].items():
        if result == "denied":
            assert error in ("EPERM", "EACCES"), f"{service}: {name}: {error}"
