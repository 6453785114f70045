"""The signatures of passkeys, in plain integers: examples of the standards, and what looks like a signature."""

import base64
import contextlib
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from monitoring import verify
from monitoring.verify import ALGORITHMS, N, Q


def b64(number: int, size: int = 32) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(size, "big")).rstrip(b"=").decode()


# RFC 6979, appendix A.2.5: the key, and messages with r and s
RFC6979 = {
    "x": b64(0x60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6),
    "y": b64(0x7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299),
}
SAMPLE = (
    0xEFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716,
    0xF7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8,
)
TEST = (
    0xF1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367,
    0x019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083,
)
# RFC 7515, appendix A.2
RFC7515 = {
    "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ"
    "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2Ca"
    "pHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h"
    "4FRWyuXpoQ",
    "e": "AQAB",
}
SIGNED = (
    b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    b"fQ"
)
SIGNATURE = base64.urlsafe_b64decode(
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1d"
    "nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu"
    "sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77"
    "Rw=="
)


@pytest.mark.parametrize(("message", "pair"), [(b"sample", SAMPLE), (b"test", TEST)])
def test_the_examples_of_rfc_6979_are_right(message: bytes, pair: tuple[int, int]) -> None:
    assert verify.es256(RFC6979, encode_dss_signature(*pair), message)
    assert not verify.es256(RFC6979, encode_dss_signature(*pair), message + b"!")


def test_the_example_of_rfc_7515_is_right() -> None:
    assert verify.rs256(RFC7515, SIGNATURE, SIGNED)
    assert not verify.rs256(RFC7515, SIGNATURE, SIGNED + b"!")


@pytest.mark.parametrize("bit", range(0, 2048, 173))
def test_a_flipped_bit_of_an_rsa_signature_is_wrong(bit: int) -> None:
    wrong = bytearray(SIGNATURE)
    wrong[bit // 8] ^= 1 << bit % 8
    assert not verify.rs256(RFC7515, bytes(wrong), SIGNED)


@pytest.mark.parametrize("number", range(5))
def test_what_the_library_signs_is_right_and_another_key_is_not(number: int) -> None:
    private, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    word = private.sign(b"%d" % number, ec.ECDSA(hashes.SHA256()))
    assert verify.es256(jwk(private), word, b"%d" % number)
    assert not verify.es256(jwk(other), word, b"%d" % number)


def test_an_rsa_key_of_3072_bits_is_checked_as_well() -> None:
    private = rsa.generate_private_key(65537, 3072)
    public = private.public_key().public_numbers()
    key = {"n": b64(public.n, 384), "e": b64(public.e, 3)}
    word = private.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
    assert verify.rs256(key, word, b"message") and not verify.rs256(key, word[1:], b"message")
    other = private.sign(b"message", padding.PKCS1v15(), hashes.SHA512())
    pss = private.sign(b"message", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    assert not verify.rs256(key, other, b"message") and not verify.rs256(key, pss, b"message")


def jwk(private: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    public = private.public_key().public_numbers()
    return {"x": b64(public.x), "y": b64(public.y)}


RIGHT = encode_dss_signature(*SAMPLE)


@pytest.mark.parametrize(
    "pair",
    [(0, SAMPLE[1]), (SAMPLE[0], 0), (0, 0), (N, N), (SAMPLE[0] + N, SAMPLE[1]), (SAMPLE[0], SAMPLE[1] + N), (1, 1)],
)
def test_numbers_out_of_their_range_are_no_signature(pair: tuple[int, int]) -> None:
    assert not verify.es256(RFC6979, encode_dss_signature(*pair), b"sample")


def test_the_other_s_of_the_same_signature_is_right_as_in_every_library() -> None:
    r, s = decode_dss_signature(RIGHT)
    assert verify.es256(RFC6979, encode_dss_signature(r, N - s), b"sample")


def framed_wrongly() -> list[bytes]:
    """Return what holds the right numbers in a wrong frame."""
    length = RIGHT[1]
    return [
        RIGHT + b"\0",
        b"\x31" + RIGHT[1:],
        RIGHT[:1] + bytes([length + 1]) + RIGHT[2:],
        RIGHT[:1] + b"\x81" + RIGHT[1:],
        RIGHT[:2] + b"\x03" + RIGHT[3:],
        RIGHT[:4] + RIGHT[5:],  # without the zero that says that r is positive
        RIGHT[4:37] + RIGHT[39:],
    ]


@pytest.mark.parametrize("number", range(7))
def test_another_frame_around_the_numbers_is_no_signature(number: int) -> None:
    with contextlib.suppress(ValueError, IndexError):  # a bundle tells these as what cannot be read
        assert not verify.es256(RFC6979, framed_wrongly()[number], b"sample")


@pytest.mark.parametrize("change", [{"y": b64(1)}, {"x": b64(0), "y": b64(0)}, {"x": b64(Q - 1)}])
def test_a_point_off_the_curve_is_no_key(change: dict[str, str]) -> None:
    assert not verify.es256(RFC6979 | change, RIGHT, b"sample")


@pytest.mark.parametrize(
    ("algorithm", "key"), [("ES256", RFC7515), ("RS256", RFC6979), ("EdDSA", RFC7515), ("none", RFC6979)]
)
def test_a_key_of_another_algorithm_cannot_be_read(algorithm: str, key: dict[str, Any]) -> None:
    with pytest.raises(LookupError):
        ALGORITHMS[algorithm](key, RIGHT, b"sample")
