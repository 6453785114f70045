"""`up.py` as a person meets it: a whole start and stop, over a stand-in for the Django project."""

import http.client
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
from hashlib import sha256

import pytest

if sys.platform == "win32":
    pytest.skip("up.py refuses to run on Windows", allow_module_level=True)

import up

pytestmark = pytest.mark.slow

MANAGE = """
import sys, time
if sys.argv[1] == "first_admins_link":
    print(sys.argv[3] + "/first-admins/secret")
while sys.argv[1] in ("worker", "pulse"):
    time.sleep(0.1)
"""
WSGI = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [b"well"]
"""


@pytest.fixture
def installation(tmp_path):
    """A copy of up.py whose libraries count as installed and whose project is a stand-in."""
    for name in ("scripts", "rollout", ".venv/bin"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(up.__file__, tmp_path)
    shutil.copy(up.ROOT / "scripts" / "supervise.py", tmp_path / "scripts")
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "rollout" / "wsgi.py").write_text(WSGI)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / ".venv" / ".requirements.txt.sha256").write_text(sha256(b"").hexdigest())
    return tmp_path


@pytest.fixture
def start(installation):
    """Return a function that starts up.py in the installation; whatever it started ends with the test."""
    started = []
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GR_")}

    def run(*arguments):
        argv = [sys.executable, "up.py", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(argv, cwd=installation, env=clean, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.terminate()
        process.communicate()


def read_until(process, words):
    text = ""
    while words not in text:
        line = process.stdout.readline()
        assert line, text
        text += line
    return text


def test_start_prints_url_and_link_serves_and_stops_at_ctrl_c(installation, start):
    process = start()
    text = read_until(process, "/first-admins/")
    url = re.search(r"is up: http://localhost:(\d+) ", text)
    connection = http.client.HTTPConnection("127.0.0.1", int(url[1]))
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"well"
    connection.close()
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=20)
    assert (process.returncode, "killing" in rest) == (0, False)
    assert stat.S_IMODE((installation / ".env").stat().st_mode) == 0o600


def test_second_start_in_the_same_place_is_refused_with_the_address(start):
    text = read_until(start(), "/first-admins/")
    url = re.search(r"http://localhost:\d+", text)[0]
    second, _ = (process := start()).communicate(timeout=20)
    assert (process.returncode, url in second) == (1, True)


def test_project_that_cannot_be_served_is_told_with_the_end_of_its_log(installation, start):
    (installation / "rollout" / "wsgi.py").write_text("raise RuntimeError('the reason')\n")
    text, _ = (process := start()).communicate(timeout=60)
    assert (process.returncode, "the reason" in text) == (1, True)
