"""The whole difference of what is to be signed, to what is live and to what was signed last; opening it is recorded."""

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.views.decorators.http import require_GET

from approvals.models import SignOff
from monitoring.gates_diff import Difference
from rollout import differing, evidence, reading
from rollout.archive.listing import listing, text_of
from rollout.differing import Files, Migration, Value
from rollout.middleware import actor_of
from rollout.models import Artifact, Configuration, Rollout
from rollout.states import RolloutState as R
from rollout.views.components import diff_lines
from rollout.views.page import Page, page_of

# what stands on the target now: it was switched to, and not rolled back
LIVE = frozenset({R.SUCCEEDED, R.WATCHING})


@dataclass(frozen=True, kw_only=True)
class Against:
    """What differs from one earlier manifest."""

    rollout: Rollout
    gates: tuple[Difference, ...]
    values: tuple[Value, ...]
    configuration: tuple[tuple[str, str], ...]  # (kind of line, line) of a unified diff
    files: Files | None  # None: one of the two archives is no longer there

    @property
    def looser(self) -> bool:
        """Say whether any gate catches less than there."""
        return any(one.looser for one in self.gates)

    @property
    def rules(self) -> int:
        """Return how many values of gates, policy, target and runbooks differ, the text of the configuration apart."""
        return len(self.gates) + len(self.values)


class Whole:
    """The difference of one frozen rollout; each part is read when it is first asked for."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.manifest: dict[str, Any] = json.loads(rollout.manifest) if rollout.manifest else {}

    @cached_property
    def live(self) -> Against | None:
        """Return the difference to the rollout that brought what was live when this one was frozen."""
        found = self._earlier().filter(state__in=LIVE, release__version=self.manifest["previous_version"]).first()
        return self._against(found) if found else None

    @cached_property
    def signed(self) -> Against | None:
        """Return the difference to the manifest that was signed and used last; None when that is what is live."""
        used = SignOff.objects.filter(
            component=self.rollout.target.component.name,
            environment=self.rollout.target.environment.name,
            state=SignOff.State.USED,
        )
        found = self._earlier().filter(sign_off__in=used).order_by("-sign_off_id").first()
        same = found is None or (self.live is not None and found.pk == self.live.rollout.pk)
        return None if found is None or same else self._against(found)

    @cached_property
    def migrations(self) -> tuple[Migration, ...]:
        """Return the migrations that the dry run applied, with their text where the archive has it."""
        archive = self._archive(self.manifest)
        names = listing(archive) if archive else {}
        found = []
        for name in self.manifest["migrations"]:
            path = next((one for one in sorted(names) if one.rpartition("/")[2] == name), "")
            found.append(differing.migration(name, text_of(archive, path) if archive and path else ""))
        return tuple(found)

    def _earlier(self) -> Any:
        others = Rollout.objects.filter(target=self.rollout.target_id).exclude(pk=self.rollout.pk).exclude(manifest="")
        return others.select_related("release", "sign_off").order_by("-pk")

    def _against(self, other: Rollout) -> Against:
        before = json.loads(other.manifest)
        old, new = self._archive(before), self._archive(self.manifest)
        listings = (listing(old), listing(new)) if old and new else ({}, {})
        return Against(
            rollout=other,
            gates=differing.gates(before, self.manifest),
            values=differing.values(before, self.manifest),
            configuration=tuple(diff_lines(self._configuration(before["configuration"]))),
            files=differing.files(*listings) if all(listings) else None,
        )

    def _archive(self, manifest: dict[str, Any]) -> Any:
        sha256 = manifest["release"]["archive_sha256"]
        artifact = Artifact.objects.filter(sha256=sha256).first() if sha256 else None
        return evidence.path_of(artifact) if artifact else None

    def _configuration(self, before: str) -> str:
        """Return how the text of the configuration differs, its gates included."""
        now = self.manifest["configuration"]
        rows = {one.sha256: one for one in Configuration.objects.filter(sha256__in=[before, now])}
        if before == now or len(rows) < 2:
            return ""
        pair = rows[before], rows[now]
        parts = [differing.text(pair[0].text, pair[1].text), differing.text(pair[0].gates_text, pair[1].gates_text)]
        return "\n".join(part for part in parts if part)


def whole(page: Page) -> Whole | None:
    """Return the difference of a rollout whose manifest is frozen; None for another."""
    rollout = page.rollout
    frozen = bool(rollout.manifest and rollout.sign_off_id) and rollout.state not in (R.DRAFT, R.VALIDATING)
    return Whole(rollout) if frozen else None


@require_GET
def rollout_difference(request: HttpRequest, pk: int) -> HttpResponse:
    """Answer the whole difference, as a page or as the part of one, and record that this person was sent it."""
    page, user = page_of(request, pk), request.user
    ahead = "prefetch" in request.headers.get("Sec-Purpose", "")  # a browser that guesses has opened nothing
    if isinstance(user, User) and not ahead:
        reading.opened(page.rollout, user=user, by=actor_of(request), now=timezone.now())
    context = {"rollout": page.rollout, "page": page, "changes": page.changes, "difference": whole(page)}
    part = bool(request.headers.get("HX-Request"))
    answer = render(request, "rollout/_difference.html" if part else "rollout/difference.html", context)
    patch_cache_control(answer, private=True, no_store=True)
    return answer
