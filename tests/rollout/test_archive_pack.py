"""The zip file written by hand is a standard one: small, large, many, 64-bit, with and without ISA-L."""

import io
import random
import shutil
import subprocess
import zipfile
from hashlib import sha256

import pytest

from rollout.archive import container, deflate, pack
from rollout.archive.container import STORED, Container, Head
from rollout.archive.tree import walk


@pytest.fixture
def tree(tmp_path):
    """Files around the sizes where the packing changes its way."""
    chance = random.Random(6)
    root = tmp_path / "tree"
    root.mkdir()
    sizes = [0, 1, 2, 5000, pack.CHUNK_BYTES - 1, pack.CHUNK_BYTES, pack.CHUNK_BYTES + 1, 3 * pack.CHUNK_BYTES]
    for number, size in enumerate(sizes):
        (root / f"text-{number}").write_bytes((b"GET /match 200 12ms\n" * (size // 20 + 1))[:size])
        (root / f"noise-{number}").write_bytes(chance.randbytes(size))
    return root


def packed(root, path):
    with path.open("wb") as out:
        packer = pack.Packer(out, lambda done: None)
        members = packer.add_all(walk(root.parent, root.name))
        digest = packer.finish(b"{}")
    return members, digest


def check(root, path, members, digest):
    assert sha256(path.read_bytes()).hexdigest() == digest
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert [info.filename for info in archive.infolist()] == [member.name for member in members] + ["manifest.json"]
        for member in members:
            data = archive.read(member.name)
            if member.type == "file":
                assert data == (root.parent / member.path).read_bytes()
                assert (member.size, member.sha256) == (len(data), sha256(data).hexdigest())
    if shutil.which("unzip"):
        done = subprocess.run(["unzip", "-tq", path], capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


def test_files_of_every_size_are_kept(tree, tmp_path):
    path = tmp_path / "a.zip"
    check(tree, path, *packed(tree, path))


def test_the_same_without_isal(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(deflate, "isal_zlib", None)
    path = tmp_path / "a.zip"
    check(tree, path, *packed(tree, path))


def test_64_bit_sizes_and_offsets_are_written_where_they_are_needed(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(container, "ZIP64_FROM", 4000)
    monkeypatch.setattr(container, "ZIP64_COUNT", 3)
    monkeypatch.setattr(pack, "_LARGE_FROM", pack.CHUNK_BYTES)
    path = tmp_path / "a.zip"
    check(tree, path, *packed(tree, path))


def test_more_members_than_16_bits_count_are_listed():
    out = io.BytesIO()
    archive = Container(out)
    for number in range(65_540):
        head = Head(name=f"{number}", type="file", mode=0o644, mtime_ns=0)
        archive.add(head, b"", method=STORED, crc=0, size=0)
    archive.finish()
    assert len(zipfile.ZipFile(out).namelist()) == 65_540


@pytest.mark.parametrize("seconds", [-(10**10), -1, 0, 1_700_000_000, 2**31, 10**10])
def test_any_time_of_a_file_can_be_told(seconds):
    out = io.BytesIO()
    archive = Container(out)
    archive.add(Head(name="a", type="file", mode=0o644, mtime_ns=seconds * 10**9), b"", method=STORED, crc=0, size=0)
    archive.finish()
    assert zipfile.ZipFile(out).testzip() is None


def test_what_does_not_pack_is_stored(tree, tmp_path):
    packed(tree, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.getinfo("root/tree/noise-3").compress_type == zipfile.ZIP_STORED


def test_text_packs_about_as_small_as_zip_does(tree, tmp_path):
    packed(tree, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        info = archive.getinfo("root/tree/text-7")
    assert info.compress_size < info.file_size / 50
