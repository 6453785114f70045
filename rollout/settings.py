"""Django settings: everything comes from the environment (or `.env`), each name is told in `.env.example`."""

import os
import re
import sys

from django.core.exceptions import ImproperlyConfigured

from rollout.environment import BASE_DIR, address, database, env, needed, networks, seconds

SECRET_KEY = env("DJANGO_SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured("DJANGO_SECRET_KEY is not set: run `python3 up.py` once, which writes .env, or set it.")
# A key that was changed still opens what it sealed (second factors) and signed, until it is taken away here.
SECRET_KEY_FALLBACKS = env.list("DJANGO_SECRET_KEY_FALLBACKS", default=[])
DEBUG = env.bool("DJANGO_DEBUG", False)
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])
CSRF_TRUSTED_ORIGINS = env.list("DJANGO_CSRF_TRUSTED_ORIGINS", default=[])

# --- Guarded Rollout -------------------------------------------------------------------------------------------------
GR_VAR = (BASE_DIR / env("GR_VAR", default=str(BASE_DIR / "var"))).resolve()
GR_BACKUPS = (BASE_DIR / env("GR_BACKUPS", default=str(BASE_DIR / "backups"))).resolve()
GR_RUN_DIR = (BASE_DIR / env("GR_RUN_DIR", default=str(GR_VAR / "run"))).resolve()
GR_ARTIFACTS = GR_VAR / "artifacts"
GR_BASE_URL = env("GR_BASE_URL", default="http://localhost:8000").rstrip("/")
GR_HOST_ID = env("GR_HOST_ID", default="local")
if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", GR_HOST_ID):
    raise ImproperlyConfigured("GR_HOST_ID: letters, digits, dots, hyphens and underscores, at most 60.")
if os.environ.get("Q_CLUSTER_NAME"):
    raise ImproperlyConfigured("Unset Q_CLUSTER_NAME: GR_HOST_ID names the queue of this host.")
GR_REDIS_URL = address("GR_REDIS_URL", "redis", "rediss", "unix")
GR_HOST_LOST_SECONDS = seconds("GR_HOST_LOST_SECONDS", 60.0, low=15)
GR_SYNC_REPLICA = env.bool("GR_SYNC_REPLICA", False)
GR_HEARTBEAT_URL = address("GR_HEARTBEAT_URL", "https", "http")
GR_HEARTBEAT_SECONDS = seconds("GR_HEARTBEAT_SECONDS", 60.0, low=5)
GR_UPLOAD_LIMIT = env.int("GR_UPLOAD_LIMIT_BYTES", 2 * 1024**3)
GR_STEP_UP_SECONDS = 300  # a decision needs the password entered within this time (DESIGN.md section 6)
GR_CHANGE_SECONDS = seconds("GR_CHANGE_SECONDS", 86_400, low=60)
GR_REQUIRE_SECOND_FACTOR = env.bool("GR_REQUIRE_SECOND_FACTOR", False)
GR_SESSION_IDLE_SECONDS = seconds("GR_SESSION_IDLE_SECONDS", 3600.0, low=60)
GR_SESSION_SECONDS = seconds("GR_SESSION_SECONDS", 43_200.0, low=60)  # from the sign-in, however much it is used
GR_OIDC_SERVER_URL = address("GR_OIDC_SERVER_URL", "https", "http").rstrip("/")
GR_OIDC_NAME = env("GR_OIDC_NAME", default="single sign-on")
GR_TRUSTED_PROXIES = networks("GR_TRUSTED_PROXIES")
GR_HTTPS = env.bool("GR_HTTPS", False)
GR_GITHUB_TOKEN = env("GR_GITHUB_TOKEN", default="")
GR_GITHUB_API_URL = env("GR_GITHUB_API_URL", default="https://api.github.com")
GR_CSP_REPORT_URI = address("GR_CSP_REPORT_URI", "https", "http")
GR_METRICS_TOKEN = env("GR_METRICS_TOKEN", default="")
GR_HTTP_ALLOW = env.list("GR_HTTP_ALLOW", default=[])
GR_SLACK_WEBHOOK_URL = env("GR_SLACK_WEBHOOK_URL", default="")
GR_TEAMS_WEBHOOK_URL = env("GR_TEAMS_WEBHOOK_URL", default="")
GR_DISCORD_WEBHOOK_URL = env("GR_DISCORD_WEBHOOK_URL", default="")
GR_WEBHOOK_SECRET = env("GR_WEBHOOK_SECRET", default="")
GR_WEBHOOK_URL = env("GR_WEBHOOK_URL", default="")
GR_EMAIL_TO = env.list("GR_EMAIL_TO", default=[])
GR_NOTICE_FILE = GR_VAR / "notices.log"
# no secret is read here: pulse alone opens the key
GR_AUDIT_KEY_FILE = (BASE_DIR / env("GR_AUDIT_KEY_FILE", default=str(GR_VAR / "keys" / "audit.pem"))).resolve()
GR_AUDIT_KEEP_DAYS = env.int("GR_AUDIT_KEEP_DAYS", 2557)
GR_ANCHOR_FILE = (BASE_DIR / env("GR_ANCHOR_FILE", default=str(GR_VAR / "anchors.jsonl"))).resolve()
# the certificates stay when the address goes: what was stamped is checked by them
GR_TSA_URL = address("GR_TSA_URL", "https", "http")
_file = needed("GR_TSA_CA_FILE", "GR_TSA_URL") if GR_TSA_URL else env("GR_TSA_CA_FILE", default="")
GR_TSA_CA_FILE = str(BASE_DIR / _file) if _file else ""
GR_TSA_SECONDS = seconds("GR_TSA_SECONDS", 3600.0, low=60)

# --- Django ----------------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "rollout.apps.RolloutConfig",
    "approvals.apps.ApprovalsConfig",
    "monitoring.apps.MonitoringConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "django_q",
    "ninja",  # serves the API's documentation page from our own host, not from a CDN
]
MIDDLEWARE = [
    "rollout.middleware.TrustedProxies",  # before anything asks where a request came from, or whether by https
    "django.middleware.security.SecurityMiddleware",
    "rollout.middleware.SecurityPolicy",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "rollout.middleware.Restoring",  # before anything asks the database
    "rollout.uploads.WholeUploadNames",
    "rollout.session_layers.Sessions",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "rollout.session_layers.EndingSessions",
    "rollout.middleware.RequestContext",
    "rollout.second_factor.SecondFactor",
    "rollout.middleware.AccessTable",
    "rollout.middleware.AdminInCodes",
    "rollout.middleware.Once",
]
ROOT_URLCONF = "rollout.urls"
WSGI_APPLICATION = "rollout.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "rollout.views.context.shell",
            ],
            "builtins": ["rollout.templatetags.gr"],
        },
    }
]

DATABASES = {"default": database("DATABASE_URL", default=f"sqlite:///{GR_VAR / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

Q_CLUSTER = {
    "name": "guarded-rollout",  # signs the messages, so it is the same on every host
    "cluster_name": f"guarded-rollout@{GR_HOST_ID}",  # the queue that the worker of this host serves
    "workers": 2,
    "timeout": 120,
    "retry": 600,  # more than timeout x (queue_limit / workers + 2): no duplicates by arithmetic
    "queue_limit": 1,
    "bulk": 1,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "scheduler": False,  # pulse is the clock, and a row of a schedule could name any function
    "save_limit": -1,  # only failures are kept: of 1000 rows django-q reads all whenever a task ends, 18 ms of CPU
    "recycle": 200,
    "poll": 0.05,
    "label": "Tasks",
}
if sys.platform.startswith("linux"):
    Q_CLUSTER["max_rss"] = 300_000  # KiB; other systems count in other units
if GR_REDIS_URL:
    # a Redis that does not answer must not hold up a page; longer than the second that a worker waits for a message
    limits = "socket_connect_timeout=2&socket_timeout=5"
    Q_CLUSTER["redis"] = f"{GR_REDIS_URL}{'&' if '?' in GR_REDIS_URL else '?'}{limits}"
else:
    Q_CLUSTER |= {"orm": "default", "broker_class": "rollout.broker.DatabaseBroker"}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# --- how people sign in: allauth keeps second factors, ours are the pages, the throttle and the rules
ACCOUNT_ADAPTER = "approvals.adapters.AccountAdapter"
ACCOUNT_RATE_LIMITS = False  # approvals/stepup.py counts in the database, for all processes, before a try is looked at
ACCOUNT_EMAIL_VERIFICATION = "none"  # accounts are made by admins; nobody signs up
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
MFA_ADAPTER = "approvals.adapters.MFAAdapter"
MFA_RATE_LIMITS = False
MFA_TOTP_TOLERANCE = 1
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_USER_VERIFICATION = "required"
SOCIALACCOUNT_ADAPTER = "approvals.sso.SocialAdapter"
SOCIALACCOUNT_AUTO_SIGNUP = False
SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": []}}
if GR_OIDC_SERVER_URL:
    SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"] = [
        {
            "provider_id": "sso",
            "name": GR_OIDC_NAME,
            "client_id": needed("GR_OIDC_CLIENT_ID", "GR_OIDC_SERVER_URL"),
            "secret": needed("GR_OIDC_CLIENT_SECRET", "GR_OIDC_SERVER_URL"),
            "settings": {"server_url": GR_OIDC_SERVER_URL},
        }
    ]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "dashboard"
LOGOUT_REDIRECT_URL = "login"
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = GR_VAR / "static"
WHITENOISE_USE_FINDERS = True  # no collectstatic step is needed to start
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]
FILE_UPLOAD_TEMP_DIR = GR_VAR / "uploads"

CSRF_FAILURE_VIEW = "rollout.views.trouble.outdated_form"
SESSION_COOKIE_HTTPONLY, SESSION_COOKIE_SAMESITE = True, "Lax"
SESSION_COOKIE_AGE = int(GR_SESSION_SECONDS)  # it slides; the end is counted from the sign-in (approvals/sessions.py)
X_FRAME_OPTIONS = "DENY"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"  # no cookie but those two of __Host-
SECURE_REFERRER_POLICY = "same-origin"
if GR_HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True  # of the host of these pages, not of its parent
    # To preload is for the owner of the whole domain to decide, and takes months to undo (docs/security.md)
    SILENCED_SYSTEM_CHECKS = ["security.W021"]
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="guarded-rollout@localhost")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "rollout.logs.Line", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"django-q": {"level": "WARNING"}},
}

for directory in (GR_VAR, GR_RUN_DIR, GR_ARTIFACTS, FILE_UPLOAD_TEMP_DIR, STATIC_ROOT):
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
