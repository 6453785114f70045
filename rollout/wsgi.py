"""The WSGI application that gunicorn serves."""

import os

from django.core.wsgi import get_wsgi_application

from rollout import boot

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rollout.settings")
application = get_wsgi_application()
boot.assert_ready()
