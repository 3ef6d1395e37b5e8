"""The settings of the Django project that is moved in."""

import atexit
import os
import sys
from pathlib import Path

from django.db.backends.signals import connection_created

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "only for the tests"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "chat"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "old.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "chat.User"
MEDIA_URL = "/media/"
USE_TZ = os.environ.get("USE_TZ") != "no"
TIME_ZONE = "Europe/Moscow"

print("what a project prints at its start")

queries = []


def count(execute, sql, params, many, context):
    queries.append(sql)
    return execute(sql, params, many, context)


connection_created.connect(lambda connection, **_: connection.execute_wrappers.append(count), weak=False)
atexit.register(lambda: print(f"queries: {len(queries)}", file=sys.stderr))
