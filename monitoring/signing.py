"""The key that signs checkpoints: a file of its own (PEM, 0400) outside of the database, which pulse alone reads."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from . import storage


def key_id(public_key: str) -> str:
    """Return the id of a public key (64 hex digits): the sha256 of its 32 bytes."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()


class SigningError(RuntimeError):
    """Nothing can be signed; the sentence says why, and what to do."""


@dataclass(frozen=True)
class Signer:
    """A private key with its public half, in hex, and its id."""

    private: Ed25519PrivateKey

    @property
    def public_key(self) -> str:
        """Return the 32 bytes of the public key in hex."""
        return self.private.public_key().public_bytes_raw().hex()

    @property
    def key(self) -> str:
        """Return the id of the key."""
        return key_id(self.public_key)

    def sign(self, text: str) -> str:
        """Return the signature over a text in UTF-8, in hex."""
        return self.private.sign(text.encode("utf-8")).hex()


def load(path: Path) -> Signer | None:
    """Return the key in a file, or None when there is no file; raise SigningError when it is not fit to sign."""
    try:
        mode, data = path.stat().st_mode, path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SigningError(f"The key {path} cannot be read ({error.strerror}): let the account of pulse read it.")
    if mode & 0o077:
        raise SigningError(
            f"The key {path} is open to other accounts: make it 0400, and rotate it if one may have read."
        )
    try:
        private = load_pem_private_key(data, password=None)
    except ValueError as error:
        raise SigningError(f"{path} holds no private key ({error}): put the right file back.")
    if not isinstance(private, Ed25519PrivateKey):
        raise SigningError(f"{path} holds a key of another kind; Ed25519 is needed.")
    return Signer(private)


def make(path: Path) -> Signer:
    """Make a new key in a new file (0400) and return it, or the one that another process made there meanwhile."""
    storage.make_directory(path.parent)
    private = Ed25519PrivateKey.generate()
    try:
        with storage.replacing(path, mode=0o400, over=False) as out:
            out.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    except FileExistsError:
        pass
    signer = load(path)
    if signer is None:
        raise SigningError(f"The key {path} was removed while it was made.")
    return signer


def check(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether a signature is right, as `verify.ed25519` does, but a hundred times faster."""
    try:
        _public(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=8)  # most checkpoints are signed by one key
def _public(key: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(key)
