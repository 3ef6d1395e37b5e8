#!/usr/bin/env python3
"""Writes the users, rooms and messages of a Django database as a file for `polychat import`.

Run it in the directory of manage.py, with the settings and the Python of the project:

  DJANGO_SETTINGS_MODULE=mysite.settings python django_to_polychat.py \\
      --rooms chat.Room --messages chat.Message > old.jsonl

It reads through the models of Django, so with every database that Django supports, and changes nothing. Rows that the
default managers hide are not read. Fields that are not named are found: standard error has the choice.
A field of a message may be a lookup, such as author__user.

Exit status: 0; 1 if records were left out, each with its reason on standard error; 2 if nothing could be read.
Needs Django 4.2 or later.
"""

import argparse
import json
import os
import sys
from contextlib import redirect_stdout
from datetime import timezone

import django
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, FieldError, ImproperlyConfigured
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, models
from django.utils.timezone import get_default_timezone, is_naive, make_aware

USERS_AT_ONCE = 1000
ROOMS_AT_ONCE = 100
MESSAGES_AT_ONCE = 2000

# The greatest numbers that polychat takes.
MAX_USER_PK = 2**53 - 1
MAX_CHAT_PK = 94_000_000

# The names that fields usually have, the best first.
NAMES = ("name", "title")
OWNERS = ("host", "owner", "creator", "created_by", "user", "admin")
MEMBERS = ("current_users", "members", "member", "users", "participants")
SENDERS = ("user", "sender", "author", "from_user", "created_by")
TEXTS = ("text", "message", "content", "body", "msg")
TIMES = ("created_at", "create_date", "created", "timestamp", "date", "date_added", "sent_at", "time")


class Failure(Exception):
    """Why the program cannot go on, in one sentence."""


def report(text):
    print(f"django_to_polychat: {text}", file=sys.stderr)


class Output:
    """The file, and what became of each record."""

    def __init__(self):
        self.written = {}
        self.left_out = 0
        self.without_pk = 0
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        self._line({"type": "polychat", "version": 1})

    def write(self, kind, record):
        self._line({"type": kind, **{key: value for key, value in record.items() if value is not None}})
        self.written[kind] = self.written.get(kind, 0) + 1

    def leave_out(self, record, reason):
        self.left_out += 1
        report(f"{record} is left out: {reason}")

    def pk(self, value, most):
        """The number of a user or a room, if polychat can have the same one."""
        if isinstance(value, int) and 1 <= value <= most:
            return value
        self.without_pk += 1
        return None

    @staticmethod
    def _line(record):
        print(json.dumps(record, ensure_ascii=False, cls=DjangoJSONEncoder, separators=(",", ":")))


def model_named(label):
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise Failure(f"there is no model {label}: a model is named APP.MODEL, such as chat.Room") from error


def rfc3339(time):
    """The time in UTC. Without USE_TZ times have no zone in Django: they are those of settings.TIME_ZONE."""
    if time is None:
        return None
    if is_naive(time):
        time = make_aware(time, get_default_timezone())
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def is_text(field):
    return isinstance(field, (models.CharField, models.TextField)) and not field.choices


def is_time(field):
    return isinstance(field, models.DateTimeField)


def points_to(model):
    return lambda field: field.many_to_one and issubclass(model, field.related_model)


def lists(model):
    return lambda field: field.many_to_many and issubclass(model, field.related_model)


def find_field(model, given, suits, usual):
    """The name of a field: the given one ('' is none), else the usual one, else the only one that suits, else ''."""
    if given:
        model._meta.get_field(given.split("__")[0])
    if given is not None:
        return given
    fields = (*model._meta.fields, *model._meta.many_to_many)
    names = [field.name for field in fields if suits(field) and not field.primary_key]
    for name in usual:
        if name in names:
            return name
    return names[0] if len(names) == 1 else ""


def find_fields(model, args, wanted):
    """The names of the fields of a model, by the attributes of the options that choose them."""
    found = {option: find_field(model, getattr(args, option), suits, usual) for option, (suits, usual) in wanted.items()}
    chosen = ", ".join(f"{option.split('_')[1]} is {name or 'not there'}" for option, name in found.items())
    report(f"{model._meta.label}: {chosen}")
    return found


def write_users(out, users):
    """Every user, also those that are inactive or have not written anything."""
    has_name = hasattr(users, "get_full_name")
    concrete = {field.name for field in users._meta.fields if not field.is_relation}
    for user in users._default_manager.order_by("pk").iterator(chunk_size=USERS_AT_ONCE):
        profile = {key: getattr(user, key) for key in ("avatar", "github") if key in concrete and getattr(user, key)}
        out.write("user", {
            "externalUserId": str(user.pk),
            "pk": out.pk(user.pk, MAX_USER_PK),
            "username": user.get_username(),
            "name": (has_name and user.get_full_name()) or None,
            # An uploaded file has an address.
            **{key: getattr(value, "url", value) for key, value in profile.items()},
            "created_at": rfc3339(getattr(user, "date_joined", None)),
        })


def user_id(pk):
    return None if pk is None else {"externalUserId": str(pk)}


def write_rooms(out, rooms, users, args):
    found = find_fields(rooms, args, {
        "room_name": (is_text, NAMES), "room_owner": (points_to(users), OWNERS),
        "room_members": (lists(users), MEMBERS), "room_time": (is_time, TIMES),
    })
    name, owner, members, time = found.values()
    query = rooms._default_manager.order_by("pk")
    if owner:
        query = query.select_related(owner)
    if members:
        # One query for the members of ROOMS_AT_ONCE rooms.
        only_ids = users._default_manager.only("pk").order_by("pk")
        query = query.prefetch_related(models.Prefetch(members, queryset=only_ids))
    for room in query.iterator(chunk_size=ROOMS_AT_ONCE):
        host = getattr(room, owner) if owner else None
        out.write("chat", {
            "externalChatId": f"{args.chat_prefix}{room.pk}",
            "pk": out.pk(room.pk, MAX_CHAT_PK),
            "name": (getattr(room, name) or None) if name else None,
            "policy": args.policy,
            "owner": user_id(host and host.pk),
            "members": [user_id(member.pk) for member in getattr(room, members).all()] if members else [],
            "created_at": rfc3339(getattr(room, time)) if time else None,
        })


def write_messages(out, messages, rooms, users, args):
    found = find_fields(messages, args, {
        "message_room": (points_to(rooms), ("room", "chat")), "message_sender": (points_to(users), SENDERS),
        "message_text": (is_text, TEXTS), "message_time": (is_time, TIMES),
    })
    for option, field in found.items():
        if not field:
            raise Failure(f"name the field of {messages._meta.label} with --{option.replace('_', '-')}")
    room, sender, text, time = found.values()
    fields = ("pk", f"{room}__pk", f"{sender}__pk", text, time, *args.metadata)
    # polychat keeps this order for messages of the same time.
    rows = messages._default_manager.order_by(time, "pk").values_list(*fields)
    for pk, room_pk, sender_pk, words, sent, *more in rows.iterator(chunk_size=MESSAGES_AT_ONCE):
        if sender_pk is None:
            sender_pk = args.deleted_user
        parts = {"room": room_pk, f"{sender} (see --deleted-user)": sender_pk, text: words, time: sent}
        missing = [part for part, value in parts.items() if value is None]
        if missing:
            out.leave_out(f"message {pk}", f"it has no {' and no '.join(missing)}")
            continue
        metadata = {field: value for field, value in zip(args.metadata, more) if value is not None}
        out.write("message", {
            "chat": {"externalChatId": f"{args.chat_prefix}{room_pk}"},
            "original_id": str(pk),
            "sender": user_id(sender_pk),
            "text": str(words),
            "metadata": metadata or None,
            "created_at": rfc3339(sent),
        })


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--rooms", metavar="APP.MODEL", required=True, help="the model of the rooms, such as chat.Room")
    add("--messages", metavar="APP.MODEL", required=True, help="the model of the messages, such as chat.Message")
    add("--room-name", metavar="FIELD", help="the name of a room; '' is none")
    add("--room-owner", metavar="FIELD", help="the user that owns a room; '' is none")
    add("--room-members", metavar="FIELD", help="the users in a room, a many-to-many field; '' is none")
    add("--room-time", metavar="FIELD", help="when a room was made; '' is none")
    add("--message-room", metavar="FIELD", help="the room of a message")
    add("--message-sender", metavar="FIELD", help="the user that wrote a message")
    add("--message-text", metavar="FIELD", help="the text of a message")
    add("--message-time", metavar="FIELD", help="when a message was written")
    add("--metadata", metavar="FIELD", action="append", default=[], help="a field of a message to keep in its metadata; may be repeated")
    add("--deleted-user", metavar="ID", help="the external id of the sender of messages that have none")
    add("--policy", choices=("open", "closed"), default="open", help="whether every user may join a room (open)")
    add("--chat-prefix", metavar="TEXT", default="room-", help="room 7 has the externalChatId room-7 (room-)")
    return parser.parse_args()


def main():
    args = parse_arguments()
    sys.path.insert(0, os.getcwd())
    with redirect_stdout(sys.stderr):  # what the project prints at its start
        django.setup()
    rooms, messages, users = model_named(args.rooms), model_named(args.messages), get_user_model()
    out = Output()
    write_users(out, users)
    write_rooms(out, rooms, users, args)
    write_messages(out, messages, rooms, users, args)
    sys.stdout.flush()
    counts = ", ".join(f"{out.written.get(kind, 0)} {kind}s" for kind in ("user", "chat", "message"))
    report(f"wrote {counts}; left out {out.left_out} records")
    if out.without_pk:
        report(f"{out.without_pk} users and rooms get a new number: theirs is none that polychat can have")
    return 1 if out.left_out else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Failure, ImproperlyConfigured, ImportError, FieldError, FieldDoesNotExist, DatabaseError, OSError) as error:
        report(" ".join(str(error).split()))
        sys.exit(2)
