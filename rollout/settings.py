"""Django settings: everything comes from the environment (or `.env`), each name is told in `.env.example`."""

import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(environ.FileAwareEnv):
    """Environment variables; NAME_FILE names a file that holds the value of NAME, without the newline at its end."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """Return the value of a name as django-environ does, from a clean text."""
        if os.environ.get(f"{var}_FILE"):
            self.ENVIRON.files_cache[var] = Path(os.environ[f"{var}_FILE"]).read_text("utf-8").rstrip("\r\n")
        return super().get_value(var, *args, **kwargs)


env = Environment()
env.read_env(BASE_DIR / ".env")

SECRET_KEY = env("DJANGO_SECRET_KEY", default="")
if not SECRET_KEY:
    raise ImproperlyConfigured("DJANGO_SECRET_KEY is not set: run `python3 up.py` once, which writes .env, or set it.")
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
GR_UPLOAD_LIMIT = env.int("GR_UPLOAD_LIMIT_BYTES", 2 * 1024**3)
GR_STEP_UP_SECONDS = 300  # a decision needs the password entered within this time (DESIGN.md section 6)
GR_HTTPS = env.bool("GR_HTTPS", False)
GR_GITHUB_TOKEN = env("GR_GITHUB_TOKEN", default="")
GR_GITHUB_API_URL = env("GR_GITHUB_API_URL", default="https://api.github.com")
GR_METRICS_TOKEN = env("GR_METRICS_TOKEN", default="")
GR_HTTP_ALLOW = env.list("GR_HTTP_ALLOW", default=[])
GR_SLACK_WEBHOOK_URL = env("GR_SLACK_WEBHOOK_URL", default="")
GR_TEAMS_WEBHOOK_URL = env("GR_TEAMS_WEBHOOK_URL", default="")
GR_DISCORD_WEBHOOK_URL = env("GR_DISCORD_WEBHOOK_URL", default="")
GR_WEBHOOK_SECRET = env("GR_WEBHOOK_SECRET", default="")
GR_WEBHOOK_URL = env("GR_WEBHOOK_URL", default="")
GR_EMAIL_TO = env.list("GR_EMAIL_TO", default=[])
GR_NOTICE_FILE = GR_VAR / "notices.log"

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
    "django_htmx",
    "django_q",
    "ninja",  # serves the API's documentation page from our own host, not from a CDN
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "rollout.middleware.ContentSecurityPolicy",
    "rollout.uploads.WholeUploadNames",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "rollout.middleware.RequestContext",
    "rollout.middleware.AccessTable",
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

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{GR_VAR / 'db.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = 600
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # FULL, because NORMAL lost acknowledged commits in 3 of 15 power cuts; IMMEDIATE, because a deferred
    # transaction that turns into a writer fails with "database is locked" (LIBRARIES.md, RELIABILITY.md).
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;"
        "PRAGMA recursive_triggers=ON;",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

Q_CLUSTER = {
    "name": "guarded-rollout",
    "orm": "default",
    "workers": 2,
    "timeout": 120,
    "retry": 600,  # more than timeout x (queue_limit / workers + 2): no duplicates by arithmetic
    "queue_limit": 1,
    "bulk": 1,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": 1000,
    "recycle": 200,
    "poll": 0.05,
    "label": "Tasks",
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
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

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
if GR_HTTPS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = True
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-session", "__Host-csrf"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
vars().update(EMAIL_CONFIG)
DEFAULT_FROM_EMAIL = env("DEFAULT_FROM_EMAIL", default="guarded-rollout@localhost")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    "loggers": {"django-q": {"level": "WARNING"}},
}

for directory in (GR_VAR, GR_RUN_DIR, GR_ARTIFACTS, FILE_UPLOAD_TEMP_DIR, STATIC_ROOT):
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
