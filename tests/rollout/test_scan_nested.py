"""Archives inside a release are looked into, one level deep; what cannot be looked into is a finding."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from rollout.scan import UNSCANNABLE, Finding, scan_archive

LIMIT = 1 << 24
# Written in pieces, so that no scanner takes this file for a leak.
HOOK = "https://hooks.slack" + ".com/services/T0AB12CD3/B0AB12CD3/abcdefghijklmnopqrstuvwx"
LEAK = f"a = 1\nurl = '{HOOK}'\n".encode()


def zipped(**files: bytes) -> bytes:
    """Return a zip file; `a__py` is the name a.py."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return made.getvalue()


def tarred(data: bytes, mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:
        member = tarfile.TarInfo("a.py")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


def found(folder: Path, name: str, data: bytes, limit: int = LIMIT) -> tuple[Finding, ...]:
    """Scan a release that holds one file."""
    path = folder / "dhash-1.1.0.zip"
    path.write_bytes(zipped(**{name: data}))
    return scan_archive(path, limit_bytes=limit)


def damaged() -> bytes:
    """Return a zip whose one file is not what its checksum says."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.py", b"value = 1\n")
    return made.getvalue().replace(b"value = 1", b"value = 2")


def unscannable(path: str) -> tuple[Finding, ...]:
    return (Finding(path=path, line=1, kind=UNSCANNABLE),)


NESTED = {
    "vendor.zip": zipped(a__py=LEAK),
    "vendor.ZIP": zipped(a__py=LEAK),
    "vendor.jar": zipped(a__py=LEAK),
    "vendor.whl": zipped(a__py=LEAK),
    "vendor.tar": tarred(LEAK),
    "vendor.tar.gz": tarred(LEAK, "w:gz"),
    "vendor.tgz": tarred(LEAK, "w:gz"),
}


@pytest.mark.parametrize("name", sorted(NESTED))
def test_a_secret_in_a_nested_archive_is_found_by_its_place(tmp_path: Path, name: str) -> None:
    kinds = {(one.path, one.line, one.kind) for one in found(tmp_path, name, NESTED[name]) if "!" in one.path}
    assert (f"{name}!a.py", 2, "Webhook URL") in kinds


def test_a_clean_nested_archive_has_no_finding(tmp_path: Path) -> None:
    assert found(tmp_path, "vendor.whl", zipped(a__py=b"a = 1\n")) == ()


HOSTILE = {
    "deeper nesting": ("vendor.zip", zipped(inner__zip=zipped(a__py=LEAK))),
    "no zip": ("vendor.zip", b"this is no zip file"),
    "no tar": ("vendor.tar", b"this is no tar file, but it is long enough to be looked at" * 20),
    "no gzip": ("vendor.tar.gz", tarred(LEAK)),
    "a zip that ends early": ("vendor.zip", zipped(a__py=LEAK)[:-30]),
    "a gzip that ends early": ("vendor.tgz", tarred(LEAK * 50, "w:gz")[:-60]),
    "a zip whose content is damaged": ("vendor.zip", damaged()),
    "a bomb": ("vendor.zip", zipped(a__bin=b"0" * (4 << 20))),
    "a bomb in a tar": ("vendor.tgz", tarred(b"0" * (4 << 20), "w:gz")),
}


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_what_cannot_be_looked_into_is_a_finding(tmp_path: Path, case: str) -> None:
    name, data = HOSTILE[case]
    assert unscannable(name)[0] in found(tmp_path, name, data)


def test_nested_archives_share_the_limit_of_the_release(tmp_path: Path) -> None:
    inner = zipped(a__bin=bytes(range(256)) * 40)
    path = tmp_path / "dhash-1.1.0.zip"
    path.write_bytes(zipped(one__zip=inner, two__zip=inner))
    once = 2 * len(inner) + 256 * 40
    assert scan_archive(path, limit_bytes=2 * once) == ()
    assert scan_archive(path, limit_bytes=once) == unscannable("two.zip")
