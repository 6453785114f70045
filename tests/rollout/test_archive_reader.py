"""A backup that is not exactly what was saved is refused, before anything is written."""

import random
import shutil
from datetime import timedelta

import pytest

from rollout.archive.errors import BackupError, CorruptBackup, HostileArchive, WrongEnvironment
from rollout.archive.reader import verify
from rollout.archive.writer import sidecar_of
from tests.rollout.archive_world import (
    LIVE,
    NOW,
    bring_back,
    make_environment,
    picture,
    quiet,
    rewrite,
    save,
    seal,
    spoil,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    place = tmp_path_factory.mktemp("made")
    spec = make_environment(place / "env")
    return spec, save(spec, place / "backups")


@pytest.fixture
def backup(made, tmp_path):
    """A copy of the backup that a test may damage."""
    folder = tmp_path / "backups"
    shutil.copytree(made[1].path.parent, folder)
    return folder / made[1].path.name


def read(path, *, sha256=None, component="dhash", environment="production"):
    return verify(path, sha256=sha256, component=component, environment=environment, progress=quiet)


def test_an_untouched_backup_is_accepted(backup, made):
    contents = read(backup, sha256=made[1].sha256)
    assert (contents.sha256, len(contents.members)) == (made[1].sha256, made[1].members)


def test_any_flipped_bit_is_refused(backup):
    whole, chance = backup.read_bytes(), random.Random(18)
    for _ in range(200):
        bit = chance.randrange(len(whole) * 8)
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        backup.write_bytes(damaged)
        with pytest.raises(CorruptBackup):
            read(backup)


def test_any_flipped_bit_is_refused_or_harmless_even_with_a_fitting_sha256(backup):
    """Somebody who can write both files still cannot change a saved byte: the manifest's own hashes hold."""
    whole, chance = backup.read_bytes(), random.Random(24)
    honest = read(backup)
    for _ in range(200):
        bit = chance.randrange(len(whole) * 8)
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        backup.write_bytes(damaged)
        seal(backup)
        try:
            found = read(backup, component=None, environment=None)
        except BackupError:
            continue
        saved = {member.path: member.sha256 for member in honest.members}
        assert {member.path: member.sha256 for member in found.members if member.path in saved} == saved


def test_any_flipped_bit_of_the_sidecar_is_refused(backup):
    line = sidecar_of(backup).read_bytes()
    for bit in range(len(line) * 8):
        damaged = bytearray(line)
        damaged[bit // 8] ^= 1 << bit % 8
        sidecar_of(backup).write_bytes(damaged)
        with pytest.raises(CorruptBackup):
            read(backup)


@pytest.mark.parametrize("keep", [0, 1, 100, -1, -23])
def test_a_truncated_backup_is_refused(backup, keep):
    backup.write_bytes(backup.read_bytes()[:keep])
    with pytest.raises(CorruptBackup):
        read(backup)
    seal(backup)
    with pytest.raises(CorruptBackup):
        read(backup)


def test_a_backup_without_its_sidecar_is_refused(backup):
    sidecar_of(backup).unlink()
    with pytest.raises(CorruptBackup, match=r"\.sha256 is missing beside it"):
        read(backup)


@pytest.mark.parametrize(
    "line", ["", "\n", "nonsense\n", "{sha}\n", "{sha} x.zip\n", "{sha}  other.zip\n", "{sha}  {name}"]
)
def test_a_wrong_sidecar_is_refused(backup, made, line):
    sidecar_of(backup).write_text(line.format(sha=made[1].sha256, name=backup.name))
    with pytest.raises(CorruptBackup):
        read(backup)


def test_another_backup_under_this_name_is_refused(backup, made):
    later = save(made[0], backup.parent, now=NOW + timedelta(hours=1))
    shutil.copy(later.path, backup)
    with pytest.raises(CorruptBackup, match="its sha256 is"):
        read(backup)
    shutil.copy(sidecar_of(later.path), sidecar_of(backup))
    with pytest.raises(CorruptBackup, match="another file or place"):
        read(backup)
    seal(backup)
    with pytest.raises(CorruptBackup, match="the recorded backup says"):
        read(backup, sha256=made[1].sha256)


def test_a_missing_backup_is_named(tmp_path):
    with pytest.raises(BackupError, match="there is no backup"):
        read(tmp_path / "none.zip")


def test_another_environments_backup_prints_the_right_command(backup):
    with pytest.raises(WrongEnvironment) as refused:
        read(backup, environment="staging")
    assert f"./scripts/rollback_dhash.sh --backup {backup} --env production" in str(refused.value)


def test_another_components_backup_is_refused(backup):
    with pytest.raises(WrongEnvironment):
        read(backup, component="other")


FILE = f"root/{LIVE}/dhash/hash.py"
FORGERIES = {
    "missing member": {"drop": FILE},
    "missing manifest": {"drop": "manifest.json"},
    "extra member": {"add": "root/extra"},
    "extra beside the tree": {"add": "../../evil"},
    "renamed member": {"names": {FILE: f"root/{LIVE}/dhash/other.py"}},
    "twice": {"add": FILE},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES.keys())
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_members_other_than_listed_are_refused(backup, forgery):
    rewrite(backup, **forgery)
    with pytest.raises(BackupError):
        read(backup)


NAMES = [
    "../evil",
    f"{LIVE}/../../../evil",
    "/abs",
    f"{LIVE}/./x",
    f"{LIVE}//x",
    f"{LIVE}/back\\slash",
    f"{LIVE}/turn\u202eed",
    f"{LIVE}/nul\0l",
    f"{LIVE}/DHASH/hash.py",
    f"{LIVE}/lib/below-a-link",
    f"{LIVE}/dhash/empty.py/below-a-file",
    "C:/evil",
    "shared/other",
    f"{LIVE}x/hash.py",
    f"{LIVE}/dhash/empty.py",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_listed_name_that_leaves_its_place_is_refused(backup, name):
    def listed(value):
        member = next(item for item in value["members"] if item["path"].endswith("dhash/hash.py"))
        member["path"] = name

    rewrite(backup, names={FILE: f"root/{name}"}, manifest=listed)
    with pytest.raises((CorruptBackup, HostileArchive)):
        read(backup)


def change_first_file(**values):
    def change(manifest):
        next(item for item in manifest["members"] if item["path"].endswith("hash.py")).update(values)

    return change


MANIFESTS = {
    "format": lambda value: value.update(format=2),
    "no members": lambda value: value.update(members=[]),
    "members a number": lambda value: value.update(members=3),
    "release elsewhere": lambda value: value.update(release_dir="shared"),
    "no link": lambda value: value.update(link="other"),
    "rows negative": lambda value: value.update(rows={"a": {"b": -1}}),
    "rows a text": lambda value: value.update(rows="many"),
    "kind": lambda value: value.update(kind="other"),
    "size": change_first_file(size=1),
    "size a truth": change_first_file(size=True),
    "sha256": change_first_file(sha256="0" * 64),
    "sha256 of capitals": change_first_file(sha256="A" * 64),
    "type": change_first_file(type="device"),
    "mode": change_first_file(mode=1 << 20),
    "unknown key": change_first_file(owner="root"),
    "link without target": change_first_file(type="symlink"),
}


@pytest.mark.parametrize("change", MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_manifest_that_says_something_else_is_refused(backup, change):
    rewrite(backup, manifest=change)
    with pytest.raises((CorruptBackup, HostileArchive)):
        read(backup)


def test_a_refused_backup_leaves_the_environment_as_it_was(backup, tmp_path):
    root = tmp_path / "live"
    make_environment(root)
    spoil(root)
    before = picture(tmp_path)
    rewrite(backup, names={FILE: "root/../evil"})
    before.update({name: value for name, value in picture(tmp_path).items() if name.startswith("backups")})
    with pytest.raises(BackupError):
        bring_back(backup, root)
    with pytest.raises(BackupError):
        bring_back(backup, root, environment="staging")
    assert picture(tmp_path) == before
