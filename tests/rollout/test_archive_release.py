"""A release archive is unpacked exactly and durably, or refused before a byte is written."""

import stat
import struct
import zipfile

import pytest

from rollout.archive.errors import BackupError, CorruptBackup, HostileArchive
from rollout.archive.limits import Limits
from rollout.archive.release import (
    RELEASE_LIMITS,
    BrokenRelease,
    inspect_release,
    release_differences,
    unpack_release,
)
from tests.rollout.archive_world import picture

LINK = stat.S_IFLNK | 0o777


def build(path, *entries):
    """Write a zip of (name, data, unix mode) as it is told, however bad."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name.replace("\0", "?"))
            info.filename = name
            info.create_system, info.external_attr = 3, mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def file(name, data=b"x"):
    return (name, data, stat.S_IFREG | 0o644)


@pytest.fixture
def good(tmp_path):
    return build(
        tmp_path / "dhash-1.1.0.zip",
        file("VERSION", b"1.1.0\n"),
        ("dhash/ctl.py", b"#!/usr/bin/env python3\n", stat.S_IFREG | 0o4775),
        ("dhash/current", b"../VERSION", LINK),
        ("empty/", b"", stat.S_IFDIR | 0o700),
    )


def test_a_release_is_unpacked_as_it_is(good, tmp_path):
    into = tmp_path / "releases/0002-1.1.0"
    unpack_release(inspect_release(good), into)
    assert list(picture(into)) == ["VERSION", "dhash", "dhash/ctl.py", "dhash/current", "empty"]
    assert (into / "dhash/current").read_text() == "1.1.0\n"
    assert release_differences(inspect_release(good), into) == ()


def test_modes_are_plain_and_never_setuid(good, tmp_path):
    unpack_release(inspect_release(good), tmp_path / "out")
    modes = [(tmp_path / "out" / name).stat().st_mode & 0o7777 for name in ("VERSION", "dhash/ctl.py", "empty")]
    assert modes == [0o644, 0o755, 0o755]


def test_nothing_but_the_release_is_left_beside_it(good, tmp_path):
    (tmp_path / "releases/.staging-0002-killed").mkdir(parents=True)
    unpack_release(inspect_release(good), tmp_path / "releases/0002")
    assert [item.name for item in (tmp_path / "releases").iterdir()] == ["0002"]


def test_a_release_directory_is_never_written_twice(good, tmp_path):
    unpack_release(inspect_release(good), tmp_path / "out")
    with pytest.raises(BackupError, match="exists already"):
        unpack_release(inspect_release(good), tmp_path / "out")


@pytest.mark.parametrize("name", ["VERSION", "dhash/new.py"])
def test_a_directory_that_is_not_the_release_is_told_apart(good, tmp_path, name):
    unpack_release(inspect_release(good), tmp_path / "out")
    (tmp_path / "out" / name).write_text("other")
    assert [one.path for one in release_differences(inspect_release(good), tmp_path / "out")] == [name]


def test_an_archive_exchanged_after_inspection_leaves_nothing(good, tmp_path):
    contents = inspect_release(good)
    with zipfile.ZipFile(good) as archive:
        entries = [(info.filename, archive.read(info), info.external_attr >> 16) for info in archive.infolist()]
    build(good, *[(name, data.replace(b"1.1.0", b"6.6.6"), mode) for name, data, mode in entries])
    with pytest.raises(CorruptBackup):
        unpack_release(contents, tmp_path / "releases/0002")
    assert list((tmp_path / "releases").iterdir()) == []


HOSTILE = {
    "slip": [file("../evil")],
    "deep slip": [file("a/../../evil")],
    "absolute": [file("/evil")],
    "drive": [file("C:/evil")],
    "backslash": [file("a\\..\\evil")],
    "nul": [file("a\0b")],
    "bidi": [file("a\u202efdp.exe")],
    "escape sequence": [file("a\x1b[31m")],
    "empty part": [file("a//b")],
    "dot": [file("./a")],
    "long part": [file("a" * 256)],
    "case": [file("Read"), file("read")],
    "case of a directory": [file("a/b"), file("A/c")],
    "unicode form": [file("\u00e9"), file("e\u0301")],
    "sharp s": [file("stra\u00dfe"), file("STRASSE")],
    "below a file": [file("a"), file("a/b")],
    "below a link": [("a", b"b", LINK), file("a/c")],
    "file and directory": [file("a"), ("a/", b"", stat.S_IFDIR | 0o755)],
    "absolute link": [file("x"), ("a", b"/etc/passwd", LINK)],
    "escaping link": [file("x"), ("d/a", b"../../evil", LINK)],
    "escaping by another link": [file("d/e/x"), ("d/e/up", b"../..", LINK), ("d/e/out", b"up/../evil", LINK)],
    "empty link": [file("x"), ("a", b"", LINK)],
    "huge link": [file("x"), ("a", b"b" * 5000, LINK)],
    "device": [("null", b"", stat.S_IFCHR | 0o666)],
    "pipe": [("pipe", b"", stat.S_IFIFO | 0o666)],
    "directory with bytes": [file("x"), ("a/", b"bytes", stat.S_IFDIR | 0o755)],
    "bomb": [file("zeros", bytes(30 << 20))],
}


@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused_and_writes_nothing(tmp_path, entries):
    path = build(tmp_path / "bad.zip", *entries)
    with pytest.raises((HostileArchive, BrokenRelease)):
        inspect_release(path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(HostileArchive, match="twice"):
        inspect_release(build(tmp_path / "bad.zip", file("a", b"1"), file("a", b"2")))


def test_members_that_overlap_are_refused(tmp_path):
    path = build(tmp_path / "bad.zip", file("a", b"same" * 99), file("b", b"same" * 99))
    data = bytearray(path.read_bytes())
    second = data.rindex(b"PK\x01\x02")
    struct.pack_into("<L", data, second + 42, 0)
    path.write_bytes(data)
    with pytest.raises(HostileArchive, match="overlaps"):
        inspect_release(path)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = build(tmp_path / "bad.zip", file("a"))
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(HostileArchive, match="encrypted"):
        inspect_release(path)


def test_a_directory_that_announces_too_much_is_refused_before_it_is_read(tmp_path):
    path = build(tmp_path / "bad.zip", file("a"))
    data = bytearray(path.read_bytes())
    struct.pack_into("<L", data, data.rindex(b"PK\x05\x06") + 12, 1 << 30)
    path.write_bytes(data)
    with pytest.raises(HostileArchive, match="at most"):
        inspect_release(path)


@pytest.mark.parametrize("limit", ["members", "total_bytes"])
def test_limits_are_kept(good, limit):
    tight = {name: getattr(RELEASE_LIMITS, name) for name in RELEASE_LIMITS.__dataclass_fields__}
    with pytest.raises(HostileArchive, match="at most"):
        inspect_release(good, limits=Limits(**{**tight, limit: 2}))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_archive_with_files_is_refused(tmp_path, data):
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(BrokenRelease):
        inspect_release(tmp_path / "bad.zip")


def test_a_damaged_member_is_refused(good):
    data = bytearray(good.read_bytes())
    data[45] ^= 0xFF
    good.write_bytes(data)
    with pytest.raises((BrokenRelease, HostileArchive)):
        inspect_release(good)
