"""Layers around every request that keep a person's session: who proves anew who he is gets another key under way."""

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from approvals import sessions

Next = Callable[[HttpRequest], HttpResponse]
SIGNED_OUT = {
    sessions.UNUSED: "You were signed out because nobody used this session for a while.",
    sessions.OLD: "You were signed out because this session was too old, however much it was used. Sign in again.",
}
# what a page asks by itself, through htmx or for a chart: nobody uses the session by it
BY_ITSELF = ("HX-Request", "X-Poll")


class Sessions(SessionMiddleware):
    """Keeps sessions as Django does, and takes a cookie back only from whoever ended his session in this request.

    Django takes it back whenever it knows no session of that key. A page that polls still sends the key from before
    while its person proves who he is; the answer would throw away the new key that the browser has just been given.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Answer as Django does, without taking back a cookie of which this request has ended nothing."""
        ended = request.session.modified
        answer = super().process_response(request, response)
        if not ended and request.session.is_empty():
            answer.cookies.pop(settings.SESSION_COOKIE_NAME, None)
        return answer


class EndingSessions:
    """Ends sessions that nobody uses or that are too old, and keeps the list of the open ones true."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer; whoever's session is over is led to the sign-in, and told why."""
        now, known = timezone.now(), request.user.is_authenticated
        # read after the session was looked for: of one that is not there, nothing ends or goes on by this request
        key = request.session.session_key
        if known:
            if why := sessions.why_over(request, now=now):
                request.user = AnonymousUser()
                if not sessions.is_gone(request):
                    sessions.end_over(request, why=why, now=now)
                    messages.info(request, SIGNED_OUT[why])
            elif not any(request.headers.get(name) for name in BY_ITSELF):
                sessions.use(request, now=now)
        response = self.get_response(request)
        if key and request.session.session_key != key:
            sessions.follow(key, request.session.session_key)
        return response
