"""The WSGI application, which gunicorn preloads: its workers share what was read before they were forked."""

import gc
import os
from importlib import import_module

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connections

from rollout import boot

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rollout.settings")
application = get_wsgi_application()
boot.assert_ready()
import_module(settings.ROOT_URLCONF)  # and with it every view, which a first request would import in each worker
connections.close_all()  # a fork must not share one
gc.freeze()  # a collection would touch, and so copy, every page that is shared
