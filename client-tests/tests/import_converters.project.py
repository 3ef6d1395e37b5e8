"""Fills the Django project that is moved in, and prints what it has: PROGRAM create|add|dump."""

import json
import os
import random
import sys
from datetime import datetime, timedelta, timezone

sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
output, sys.stdout = sys.stdout, sys.stderr

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.utils.timezone import get_default_timezone  # noqa: E402
from chat.models import Message, Note, Room, Ticket, User  # noqa: E402

START = datetime(2021, 12, 2, 10, 29, 38, 171083, timezone.utc)
TEXTS = ("мое сообщение", "Hi world!!!", "one\ntwo\r\n\tthree", "🎉 fête 👩‍👩‍👧", "مرحبا", "\u2028 and \u0000 and \\ \"quoted\"")
USERS = {3: "anna", 14: "boris", 29: "left", 47: "djwoms1", 50: "silent"}


def stored(time):
    """A time as the project stores it."""
    return time if settings.USE_TZ else time.astimezone(get_default_timezone()).replace(tzinfo=None)


def create():
    call_command("migrate", run_syncdb=True, verbosity=0)
    for pk, name in USERS.items():
        User.objects.create(
            pk=pk, username=name, first_name="Анна" if pk == 3 else "", last_name="Ли" if pk == 3 else "",
            avatar="anna.png" if pk == 3 else "", github="anna-li" if pk == 3 else "",
            is_active=pk != 47, date_joined=stored(START - timedelta(days=pk)),
        )
    python = Room.objects.create(pk=4, name="Python", host_id=29)
    python.current_users.set([3, 14, 47])
    cinema = Room.objects.create(pk=7, name="Кино", host_id=14)
    cinema.current_users.set([14, 50])
    Room.objects.create(pk=11, name="empty", host=None)
    dice = random.Random(7)
    # Out of order, many at the same time, and some only microseconds apart.
    times = [START + timedelta(seconds=dice.randrange(900), microseconds=dice.choice((0, 0, 1, 700))) for _ in range(3000)]
    Message.objects.bulk_create(
        Message(room_id=dice.choice((4, 4, 7)), user_id=dice.choice((3, 14, 29, 47)), text=f"{index} {dice.choice(TEXTS)}",
                created_at=stored(time))
        for index, time in enumerate(times)
    )
    ticket = Ticket.objects.create(pk=1, subject="Printer", internal_code="p-1", opened=stored(START))
    ticket.agents.set([3])
    for index, writer in enumerate((3, None)):
        Note.objects.create(ticket=ticket, writer_id=writer, mood="calm", words=f"note {index}", written=stored(START))


def add():
    latest = Message.objects.latest("created_at").created_at
    for index in range(5):
        Message.objects.create(room_id=4, user_id=50, text=f"later {index}", created_at=latest + timedelta(seconds=index))
    Room.objects.create(pk=12, name="new", host_id=50).current_users.set([50])
    Message.objects.create(room_id=12, user_id=50, text="first", created_at=latest)


def dump():
    """Messages in the order of their rooms, with their times in milliseconds."""
    def milliseconds(time):
        time = time if settings.USE_TZ else time.replace(tzinfo=get_default_timezone())
        return (time - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)

    json.dump({
        "users": [{
            "pk": user.pk, "username": user.username, "name": user.get_full_name(), "github": user.github,
            "avatar": f"/media/{user.avatar}" if user.avatar else None,
        } for user in User.objects.order_by("pk")],
        "rooms": [{
            "pk": room.pk, "name": room.name, "owner": room.host_id,
            "members": sorted(room.current_users.values_list("pk", flat=True)),
            "messages": [{"original_id": str(each.pk), "user": each.user_id, "text": each.text, "time": milliseconds(each.created_at)}
                         for each in room.messages.order_by("created_at", "pk")],
        } for room in Room.objects.order_by("pk")],
    }, output)


{"create": create, "add": add, "dump": dump}[sys.argv[1]]()
