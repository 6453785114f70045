"""Open sessions of people: listed with where and when, ended by owner or admin, by age, or by nobody using them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from monitoring import audit
from monitoring.audit import Actor

from .actors import about, actor_of
from .models import BrowserSession

USED = "used_at"
# so that a person who clicks costs a write a minute, not one a click
STEP = timedelta(minutes=1)
UNUSED, OLD = "nobody used it", "its time was over"
BROWSERS = ("Firefox", "Edg", "OPR", "Chrome", "Safari")
SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS X", "Linux")
CALLED = {"Edg": "Edge", "OPR": "Opera", "Mac OS X": "macOS"}


@dataclass(frozen=True, kw_only=True)
class Open:
    """One session as its owner sees it."""

    row: BrowserSession
    where: str
    current: bool


def begin(request: HttpRequest, user: Any, *, method: str, now: datetime) -> None:
    """Note a session that a sign-in has just opened."""
    if request.session.session_key is None:  # another was signed in here: Django has thrown that session away
        request.session.cycle_key()
    request.session[USED] = now.isoformat()
    facts = {"address": actor_of(request).address[:45], "agent": request.headers.get("User-Agent", "")[:300]}
    BrowserSession.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={"user": user, "method": method, "started_at": now, "seen_at": now, **facts},
    )


def why_over(request: HttpRequest, *, now: datetime) -> str:
    """Return why this session ends now; "" while it goes on. A page that polls is nobody who uses it.

    One that no row tells of is over too: nobody could see or end it, and how old it is is not known.
    """
    used = _used(request)
    if used is not None and now - used > timedelta(seconds=settings.GR_SESSION_IDLE_SECONDS):
        return UNUSED
    row = _row(request)
    young = row is not None and now - row.started_at <= timedelta(seconds=settings.GR_SESSION_SECONDS)
    return "" if young else OLD


def is_gone(request: HttpRequest) -> bool:
    """Say whether another request has ended or renewed this session since this one read it."""
    return not request.session.exists(request.session.session_key or "")


def use(request: HttpRequest, *, now: datetime) -> None:
    """Note that somebody uses this session, once a minute."""
    used = _used(request)
    if used is not None and timedelta(0) <= now - used < STEP:
        return
    request.session[USED] = now.isoformat()
    BrowserSession.objects.filter(session_key=request.session.session_key).update(seen_at=now)


def follow(old: str, new: str | None) -> None:
    """Note that a session goes on under another key, or has ended."""
    row = BrowserSession.objects.filter(session_key=old)
    # another who signs in here has a row of his own already
    if new and not BrowserSession.objects.filter(session_key=new).exists():
        row.update(session_key=new)
    else:
        row.delete()


def of(user: Any, *, current: str | None, now: datetime) -> list[Open]:
    """Return the open sessions of a user, the newest first; those that a new password has closed are left out."""
    rows = BrowserSession.objects.filter(user_id=user.pk).order_by("-seen_at")
    live = {one.session_key: one for one in Session.objects.filter(expire_date__gt=now, session_key__in=_keys(rows))}
    known = user.get_session_auth_hash()
    return [
        Open(row=row, where=_where(row.agent), current=row.session_key == current)
        for row in rows
        if row.session_key in live
        and constant_time_compare(live[row.session_key].get_decoded().get(HASH_SESSION_KEY, ""), known)
    ]


def end(rows: list[BrowserSession], *, by: Actor, why: str, now: datetime) -> int:
    """End sessions, at once and for good, audited; return how many there were."""
    with audit.turn():
        for row in rows:
            Session.objects.filter(session_key=row.session_key).delete()
            row.delete()
            facts = {"started_at": audit.stamp(row.started_at), "method": row.method}
            audit.append(action="user.session_ended", by=by, subject=about(row.user), why=why, data=facts, now=now)
    return len(rows)


def end_all(user_id: int) -> int:
    """End every session of a user, in the transaction of what closes the account; return how many there were.

    A session does not say whose it is until it is decoded; those of which no row here tells end as well.
    """
    own = [row.pk for row in Session.objects.all().iterator() if row.get_decoded().get(SESSION_KEY) == str(user_id)]
    Session.objects.filter(pk__in=own).delete()
    BrowserSession.objects.filter(user_id=user_id).delete()
    return len(own)


def end_over(request: HttpRequest, *, why: str, now: datetime) -> None:
    """End the session of a request that nobody has used for too long, or that is too old, audited."""
    row = _row(request)
    if row is not None:
        end([row], by=audit.SYSTEM, why=why, now=now)
    request.session.flush()


def forget(now: datetime) -> None:
    """Forget the sessions that have run out."""
    open_ones = Session.objects.filter(expire_date__gt=now).values("session_key")
    BrowserSession.objects.exclude(session_key__in=open_ones).delete()


def _row(request: HttpRequest) -> BrowserSession | None:
    return BrowserSession.objects.filter(session_key=request.session.session_key).first()


def _used(request: HttpRequest) -> datetime | None:
    try:
        moment = datetime.fromisoformat(request.session.get(USED, ""))
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _keys(rows: Any) -> list[str]:
    return [row.session_key for row in rows]


def _where(agent: str) -> str:
    """Return browser and system in two words; what it calls itself is only its word."""
    browser = next((name for name in BROWSERS if name in agent), "")
    system = next((name for name in SYSTEMS if name in agent), "")
    return " on ".join(CALLED.get(word, word) for word in (browser, system) if word) or "Unknown browser"
