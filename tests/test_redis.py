"""The Redis that CI brings answers; nothing of ours speaks to it before the Redis broker is an issue of its own."""

import socket


def test_redis_answers(redis: socket.socket) -> None:
    redis.sendall(b"PING\r\n")
    assert redis.recv(64) == b"+PONG\r\n"
