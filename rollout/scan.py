"""Looks through a release archive for committed webhooks and keys; tells where and what kind, never the secret."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from zipfile import ZipFile

from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from rollout.archive.limits import Limits, open_zip
from rollout.archive.release import RELEASE_LIMITS, inspect_release
from rollout.nested import BROKEN, Unscannable, files, is_archive

UNSCANNABLE = "nested archive that cannot be scanned"
WINDOW_CHARS = 4096
OVERLAP_CHARS = 512
_PLACEHOLDER = re.compile(r"<[^>]*>|[*x.]+|password|passwd|pass|secret|user|.*EXAMPLE", re.IGNORECASE)
# Short fixed shapes that also turn up by chance inside longer base64 or hex: they count only when they stand alone.
_ALONE = (AWSKeyDetector, TwilioKeyDetector, MailchimpDetector, TelegramBotTokenDetector, ArtifactoryDetector)


class WebhookDetector(RegexBasedDetector):
    """Finds webhook addresses that let anybody who knows them post."""

    secret_type = "Webhook URL"  # noqa: S105 - the name of a kind
    denylist = tuple(
        re.compile(pattern, re.IGNORECASE)
        for pattern in (
            r"https://(?:\w+\.)?discord(?:app)?\.com/api/(?:v\d+/)?webhooks/\d{5,}/[\w-]{16,}",
            r"https://[\w-]+\.webhook\.office\.com/webhook[\w-]*/[\w@-]{16,}\S*",
            r"https://outlook\.office(?:365)?\.com/webhook/[\w@-]{16,}\S*",
            r"https://[\w.-]+\.(?:logic\.azure\.com|api\.powerplatform\.com)\S+[?&]sig=[\w%-]{16,}",
            r"https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/\w+/\w+/\w+",
            r"https://chat\.googleapis\.com/v1/spaces/[\w-]+/messages\?\S*token=[\w%-]{16,}",
            r"https://hooks\.zapier\.com/hooks/catch/\d+/\w+",
            r"https://maker\.ifttt\.com/trigger/[\w-]+/(?:json/)?with/key/[\w-]{16,}",
            r"https?://[\w.:-]+/hooks/[a-z0-9]{26}\b",
        )
    )


class MoreKeysDetector(RegexBasedDetector):
    """Finds kinds of keys that are younger than detect-secrets' own list."""

    secret_type = "Access token"  # noqa: S105 - the name of a kind
    denylist = (
        re.compile(r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
        re.compile(r"xapp-\d-[A-Z0-9]+-\d+-[a-f0-9]{32,}"),
        re.compile(r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
        re.compile(r"gr_[0-9a-f]{8}_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])"),  # our own
        re.compile(r"BEGIN (?:ENCRYPTED PRIVATE KEY|PGP PRIVATE KEY BLOCK)"),
        re.compile(r"PuTTY-User-Key-File-\d"),
    )


# Only kinds with a shape of their own. No entropy and no keyword guessing: a hit blocks a release, so it must be one.
_DETECTORS: tuple[RegexBasedDetector, ...] = (
    WebhookDetector(),
    MoreKeysDetector(),
    ArtifactoryDetector(),
    AWSKeyDetector(),
    AzureStorageKeyDetector(),
    BasicAuthDetector(),
    DiscordBotTokenDetector(),
    GitHubTokenDetector(),
    GitLabTokenDetector(),
    JwtTokenDetector(),
    MailchimpDetector(),
    NpmDetector(),
    OpenAIDetector(),
    PrivateKeyDetector(),
    PypiTokenDetector(),
    SendGridDetector(),
    SlackDetector(),
    SquareOAuthDetector(),
    StripeDetector(),
    TelegramBotTokenDetector(),
    TwilioKeyDetector(),
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A place where a secret seems to be; `line` counts from 1."""

    path: str
    line: int
    kind: str


def scan_archive(path: Path, *, limit_bytes: int) -> tuple[Finding, ...]:
    """Return where a release archive holds webhooks or keys, in the order of its members; works without network.

    Archives inside it are looked into one level deep, within the same limits; one that cannot be is a finding too.

    `limit_bytes` is of unpacked bytes; a larger or hostile archive is refused whole, never scanned in part: raises
    HostileArchive or BrokenRelease (rollout.archive).
    """
    limits = Limits(
        members=RELEASE_LIMITS.members,
        directory_bytes=RELEASE_LIMITS.directory_bytes,
        total_bytes=limit_bytes,
        ratio=RELEASE_LIMITS.ratio,
    )
    contents = inspect_release(path, limits=limits)
    findings: list[Finding] = []
    with open_zip(path, limits) as archive:
        for member in contents.members:
            if member.type == "file":
                with archive.open(member.path) as incoming:
                    findings.extend(_scan(member.path, incoming))
        nested = [one.path for one in contents.members if one.type == "file" and is_archive(one.path)]
        findings.extend(_scan_nested(archive, nested, replace(limits, total_bytes=limit_bytes - contents.size)))
    return tuple(findings)


def kinds_in(text: str) -> tuple[str, ...]:
    """Return the kinds of secrets that one line of text holds, sorted."""
    found = {
        detector.secret_type
        for detector in _DETECTORS
        # analyze_string, not analyze_line: that one may ask the service over the network whether the key is valid
        for secret in detector.analyze_string(text)
        if _counts(detector, str(secret), text)
    }
    return tuple(sorted(found))


def _scan_nested(archive: ZipFile, names: list[str], limits: Limits) -> Iterator[Finding]:
    """Look into the archives of an archive; `limits` hold for all of them together."""
    for name in names:
        try:
            with archive.open(name) as packed:
                for inner, size, incoming in files(name, packed, limits):
                    yield from _scan(f"{name}!{inner}", incoming)
                    limits = replace(limits, total_bytes=limits.total_bytes - size, members=limits.members - 1)
        except (Unscannable, *BROKEN):
            yield Finding(path=name, line=1, kind=UNSCANNABLE)


def _scan(path: str, incoming: IO[bytes]) -> Iterator[Finding]:
    seen: set[tuple[int, str]] = set()
    for number, text in _windows(incoming):
        for kind in kinds_in(text):
            if (number, kind) not in seen:
                seen.add((number, kind))
                yield Finding(path=path, line=number, kind=kind)


def _windows(incoming: IO[bytes]) -> Iterator[tuple[int, str]]:
    """Yield (line number, text); long lines in overlapping windows, so that no pattern runs away on a minified file."""
    number, kept = 1, b""
    while piece := incoming.readline(WINDOW_CHARS):
        text = kept + piece
        # latin-1 takes any bytes, so that binary files are looked through as well
        yield number, text.decode("latin-1")
        ended = piece.endswith(b"\n")
        kept = b"" if ended else text[-OVERLAP_CHARS:]
        number += ended


def _counts(detector: RegexBasedDetector, secret: str, text: str) -> bool:
    if _PLACEHOLDER.fullmatch(secret):
        return False
    if not isinstance(detector, _ALONE):
        return True
    return re.search(rf"(?<![0-9A-Za-z+/_]){re.escape(secret)}(?![0-9A-Za-z+/_=])", text) is not None
