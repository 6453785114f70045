"""TLS: certificates are verified, and the deadline holds inside the encrypted stream too."""

import shutil
import ssl
import subprocess
import time
from contextlib import suppress

import pytest

from monitoring import deadline, http
from tests.monitoring.raw_server import plain, raw_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the path of a self-signed certificate of 127.0.0.1, its key in the same file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command to make a certificate (Debian: apt install openssl)")
    folder = tmp_path_factory.mktemp("tls")
    made = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    named = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    written = ("-keyout", folder / "key.pem", "-out", folder / "server.pem")
    subprocess.run([openssl, "req", *made, *named, *written], check=True, capture_output=True)
    path = folder / "both.pem"
    path.write_bytes((folder / "key.pem").read_bytes() + (folder / "server.pem").read_bytes())
    return path


def tls(certificate, answer):
    """Return a raw server's answer that first shakes hands."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def shake(connection):
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as safe:
            while safe.recv(65536):
                answer(safe, b"")

    return shake


@pytest.fixture
def trusting(certificate, monkeypatch):
    """Trust the certificate, in a session of the test's own."""
    context = ssl.create_default_context(cafile=str(certificate))
    context.sslsocket_class = deadline.tls_context().sslsocket_class
    monkeypatch.setattr(deadline, "tls_context", lambda: context)
    monkeypatch.setattr(http._kept, "session", None)
    yield
    http._kept.session.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate):
    with raw_server(tls(certificate, plain()), heads=False) as server:
        url = server.origin.replace("http:", "https:")
        with pytest.raises(http.HttpError, match="is not trusted: self-signed certificate"):
            http.fetch(url, timeout_s=5, allow=None)


@pytest.mark.usefixtures("trusting")
def test_a_trusted_server_is_spoken_to(certificate):
    with raw_server(tls(certificate, plain(b"well")), heads=False) as server:
        url = server.origin.replace("http:", "https:")
        for _ in range(2):
            assert http.fetch(url, timeout_s=5, allow=[url]).body == b"well"
        assert server.connections == 1


@pytest.mark.usefixtures("trusting")
def test_a_certificate_of_another_name_is_refused(certificate):
    mismatch = pytest.raises(http.HttpError, match="is not trusted: Hostname mismatch")
    with raw_server(tls(certificate, plain()), heads=False) as server, mismatch:
        http.fetch(f"https://localhost:{server.port}/", timeout_s=5, allow=None)


@pytest.mark.slow
@pytest.mark.usefixtures("trusting")
def test_a_drip_inside_tls_ends_at_the_deadline(certificate):
    def drip(safe, _):
        safe.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(100):
            safe.sendall(b"x")
            time.sleep(0.05)

    with raw_server(tls(certificate, drip), heads=False) as server:
        begun = time.monotonic()
        with pytest.raises(http.HttpError, match=r"did not answer within 0\.5 s"):
            http.fetch(server.origin.replace("http:", "https:"), timeout_s=0.5, allow=None)
        assert 0.45 <= time.monotonic() - begun < 1.5
