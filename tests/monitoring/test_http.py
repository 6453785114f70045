"""The HTTP client against servers that behave, refuse, move and lie."""

import gzip
import logging
import socket
import threading

import pytest

from monitoring import deadline, http
from tests.monitoring.raw_server import plain, raw_server


def get(url, **options):
    return http.fetch(url, **{"timeout_s": 5, "allow": None, **options})


def refused(url, **options):
    with pytest.raises(http.HttpError) as caught:
        get(url, **options)
    return caught.value


def test_an_answer_is_returned_with_status_headers_and_body():
    with raw_server(plain(b'{"a": 1}', "200 OK", "X-Thing: yes")) as server:
        answer = get(server.origin + "/x")
    assert (answer.status, answer.headers["x-thing"], answer.json()) == (200, "yes", {"a": 1})
    assert 0 < answer.elapsed_s < 5


def test_a_server_error_is_an_answer_not_an_exception():
    with raw_server(plain(b"broken", "503 Service Unavailable")) as server:
        assert get(server.origin).status == 503


def test_json_is_sent_as_json():
    with raw_server(lambda connection, head: plain(b"")(connection, head)) as server:
        get(server.origin, method="POST", json={"text": "hi"})
    assert b"content-type: application/json" in server.heads[0].lower()


def test_a_body_that_is_no_json_is_an_error_that_says_so():
    with raw_server(plain(b"<html>")) as server, pytest.raises(http.HttpError, match="expected JSON, got 6 bytes"):
        get(server.origin).json()


def test_a_redirect_is_returned_and_never_followed():
    with raw_server(plain()) as inner:
        with raw_server(plain(b"", "302 Found", f"Location: {inner.origin}/secret")) as outer:
            assert get(outer.origin).status == 302
        assert inner.connections == 0


def test_the_body_of_a_redirect_is_not_read_past_the_limit():
    sent = []

    def flood(connection, _):
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(1024):
            connection.sendall(b"x" * 65536)
            sent.append(65536)

    with raw_server(flood) as server:
        assert "302 with more than 65536 bytes" in refused(server.origin).message
    assert sum(sent) < 32_000_000  # what the kernel's buffers took, not the whole


def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_refused():
    with raw_server(plain(b"x" * 1000)) as server:
        assert len(get(server.origin, limit_bytes=1000).body) == 1000
        problem = refused(server.origin, limit_bytes=999)
    assert problem.permanent and problem.message == f"{server.origin} answered 200 with more than 999 bytes"


def test_the_limit_counts_decoded_bytes():
    bomb = gzip.compress(b"0" * 5_000_000)
    assert len(bomb) < 6000
    with raw_server(plain(bomb, "200 OK", "Content-Encoding: gzip")) as server:
        assert "more than 65536 bytes" in refused(server.origin).message


def test_a_connection_is_kept_for_the_next_request():
    with raw_server(plain()) as server:
        for _ in range(3):
            get(server.origin)
    assert (len(server.heads), server.connections) == (3, 1)


def test_two_threads_share_no_connection():
    with raw_server(plain()) as server:
        get(server.origin)
        other = threading.Thread(target=get, args=(server.origin,))
        other.start()
        other.join(5)
        assert server.connections == 2


def drop_second(connections):
    def answer(connection, head):
        connections.append(connection)
        if connections.count(connection) == 2:
            connection.shutdown(socket.SHUT_RDWR)
        else:
            plain()(connection, head)

    return answer


def test_a_kept_connection_that_went_stale_is_replaced_for_a_get():
    with raw_server(drop_second([])) as server:
        assert [get(server.origin).status for _ in range(2)] == [200, 200]
        assert server.connections == 2


def test_a_post_is_never_sent_twice():
    with raw_server(drop_second([])) as server:
        get(server.origin)
        problem = refused(server.origin, method="POST", body=b"x")
        assert "broke the connection" in problem.message and not problem.permanent
        assert len(server.heads) == 2


def test_a_fresh_connection_that_breaks_is_not_asked_again():
    with raw_server(lambda connection, _: connection.shutdown(socket.SHUT_RDWR)) as server:
        assert "broke the connection" in refused(server.origin).message
        assert server.connections == 1


def test_cookies_are_not_kept():
    with raw_server(plain(b"", "200 OK", "Set-Cookie: session=abc; Path=/")) as server:
        get(server.origin)
        get(server.origin)
    assert b"cookie" not in server.heads[1].lower()


def test_no_proxy_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with raw_server(plain()) as server:
        assert get(server.origin).status == 200


def test_no_password_of_a_netrc_file_is_sent(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login anybody password hush\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with raw_server(plain()) as server:
        get(server.origin)
    assert b"authorization" not in server.heads[0].lower()


def test_the_next_address_of_a_name_is_tried(monkeypatch):
    real = socket.getaddrinfo

    def two(host, port, *, type, flags=0):
        if flags:
            return real(host, port, type=type, flags=flags)
        return [*real("127.0.0.1", 9, type=type), *real("127.0.0.1", port, type=type)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    with raw_server(plain()) as server:
        assert get(f"http://target.example:{server.port}/").status == 200
    assert b"host: target.example" in server.heads[0].lower()


def test_an_address_that_is_a_black_hole_leaves_time_for_the_next(monkeypatch):
    waits = []

    class Silent:
        settimeout = staticmethod(waits.append)
        close = staticmethod(lambda: None)

        def __init__(self, *kind):
            pass

        def connect(self, address):
            raise TimeoutError

    monkeypatch.setattr(deadline, "_Socket", Silent)
    monkeypatch.setattr(deadline, "_addresses", lambda host, port: [(0, 0, 0, "", (host, port))] * 4)
    assert "did not answer within 8 s" in refused("http://target.example/", timeout_s=8).message
    assert [round(wait) for wait in waits] == [2, 3, 4, 8]


def test_a_name_that_does_not_exist_is_told(monkeypatch):
    def unknown(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    problem = refused("http://target.example/")
    assert problem.message == "the host name of http://target.example:80 was not found" and not problem.permanent


def test_an_unanswered_port_is_refused_and_may_be_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as spare:
        port = spare.getsockname()[1]
    problem = refused(f"http://127.0.0.1:{port}/token")
    assert problem.message == f"http://127.0.0.1:{port} refused the connection" and not problem.permanent


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "//example.org/",
        "http://",
        "http://user:word@example.org/",
        "http://a\\@b/",
        "http://a b/",
        "http://a/\r\nHost: b",
        "http://a:99999/",
    ],
)
def test_a_url_that_is_no_plain_http_is_refused_for_good(url):
    assert refused(url).permanent


def test_an_origin_outside_the_allow_list_is_never_connected_to():
    with raw_server(plain()) as server:
        problem = refused(server.origin + "/x?key=hush", allow=["https://hooks.example.org"])
        assert problem.permanent and problem.message == f"{server.origin} is not among the allowed origins"
        assert server.connections == 0


def test_an_allowed_origin_matches_scheme_host_and_port():
    with raw_server(plain()) as server:
        assert get(server.origin, allow=[server.origin.upper()]).status == 200
        refused(server.origin, allow=[server.origin.replace("http:", "https:")])
        refused(server.origin, allow=["http://127.0.0.1"])


def test_the_default_port_is_part_of_the_origin():
    assert http.origin("HTTPS://Hooks.Example.org/services/T0/B0") == "https://hooks.example.org:443"
    assert http.origin("http://[::1]:8000/") == "http://[::1]:8000"


def test_errors_never_hold_path_query_or_header(caplog):
    caplog.set_level(logging.DEBUG)
    with raw_server(lambda connection, _: connection.sendall(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n")) as server:
        told = [
            str(refused(server.origin + "/services/HUSH?k=HUSH", timeout_s=0.05)),
            str(refused(server.origin + "/HUSH", headers={"Authorization": "Bearer HUSH\n"})),
            str(refused("http://127.0.0.1:9/HUSH")),
        ]
    assert "HUSH" not in " ".join([*told, caplog.text])


@pytest.mark.parametrize("said", ["HTTP/1.1 200", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Le"])
def test_a_connection_that_ends_within_the_headers_is_no_answer(said):
    def answer(connection, _):
        connection.sendall(said.encode())
        connection.shutdown(socket.SHUT_WR)

    with raw_server(answer) as server, pytest.raises(http.HttpError, match="broke the connection"):
        http.fetch(server.origin, timeout_s=2, allow=None)
