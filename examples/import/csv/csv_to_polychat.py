#!/usr/bin/env python3
"""Writes the messages of a CSV file as a file for `polychat import`.

  python3 csv_to_polychat.py old.csv --time created_at --utc-offset +03:00 > old.jsonl

The first line of the CSV file names the columns. Commas, semicolons and tabs are recognised, texts in quotes may have
several lines, and a byte order mark is skipped. Chats and users are those of the messages; the members of a chat are the
senders of its messages.

Without a column for ids a message has the id FILE:ROW, as in old.csv:12 for the 12th message: to repeat an import keep
the name of the file, and only append to it.

Exit status: 0; 1 if rows were left out, each with its reason on standard error; 2 if the file cannot be read.
Needs Python 3.10 or later, and no packages.
"""

import argparse
import codecs
import csv
import json
import os
import re
import sys
from datetime import datetime, timedelta, timezone

DELIMITERS = ",;\t|"

# Epoch values below this are seconds: as seconds it is the year 5138, as milliseconds March 1973.
SECONDS_BELOW = 100_000_000_000

ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(:\d\d)?(?:[.,](\d{1,9}))? ?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
EPOCH = re.compile(r"\d+(\.\d+)?", re.ASCII)
OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)


class Failure(Exception):
    """Why the program cannot go on, in one sentence."""


class BadRow(Exception):
    """Why a row is left out."""


def report(text):
    print(f"csv_to_polychat: {text}", file=sys.stderr)


def zone_of(text):
    """The zone of an offset such as Z or +03:00."""
    if text == "Z":
        return timezone.utc
    found = OFFSET.fullmatch(text)
    if not found or int(found[2]) > 23 or int(found[3]) > 59:
        raise argparse.ArgumentTypeError("is Z, or as in +03:00")
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def time_of(text, time_format, default_zone):
    """The time of a row, in UTC."""
    try:
        if time_format:
            time = datetime.strptime(text, time_format)
        elif EPOCH.fullmatch(text):
            seconds = float(text) if float(text) < SECONDS_BELOW else float(text) / 1000
            time = datetime.fromtimestamp(seconds, timezone.utc)
        elif iso := ISO.fullmatch(text):
            date, minutes, seconds, fraction, zone = iso.groups()
            micros = (fraction or "0").ljust(6, "0")[:6]
            time = datetime.fromisoformat(f"{date}T{minutes}{seconds or ':00'}.{micros}")
            time = time.replace(tzinfo=zone_of(zone) if zone else None)
        else:
            raise ValueError
        if time.tzinfo is None and default_zone is None:
            raise BadRow(f"its time '{text}' has no zone: give --utc-offset")
        return (time if time.tzinfo else time.replace(tzinfo=default_zone)).astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError, argparse.ArgumentTypeError) as error:
        raise BadRow(f"its time '{text}' is none (see --time-format)") from error


class Table:
    """The rows of a CSV file, with the lines where they begin."""

    def __init__(self, file, delimiter, needed):
        self.file = file
        header = file.readline()
        if not header:
            raise Failure("the file is empty")
        self.delimiter = delimiter or self._recognise(header, needed)
        self.columns = self._split(header, self.delimiter)
        for column in needed:
            if self.columns.count(column) != 1:
                there = "twice" if column in self.columns else "not there"
                raise Failure(f"the column '{column}' is {there}; the first line names {', '.join(self.columns)}")

    @staticmethod
    def _split(header, delimiter):
        return [column.strip() for column in next(csv.reader([header], delimiter=delimiter), [])]

    def _recognise(self, header, needed):
        """The delimiter with which most of the needed columns are there."""
        return max(DELIMITERS, key=lambda each: len(set(needed) & set(self._split(header, each))))

    def __iter__(self):
        """The line where each row begins, and its fields."""
        # `strict`: a quote that is not closed must not swallow the rest of the file.
        reader = csv.reader(self.file, delimiter=self.delimiter, strict=True)
        while True:
            line = reader.line_num + 2
            try:
                fields = next(reader, None)
            except csv.Error as error:
                raise Failure(f"line {line}: the quotes of this row are wrong ({error})") from error
            except UnicodeDecodeError as error:
                raise Failure(f"after line {line}: this is not {error.encoding}: give --encoding, such as cp1251") from error
            if fields is None:
                return
            if fields:
                yield line, fields


class Output:
    """The file, and the chats, users and numbers of what was written."""

    def __init__(self):
        self.chats = {}
        self.users = {}
        self.messages = 0
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        self._line("polychat", {"version": 1})

    def message(self, chat, chat_name, sender, sender_name, record):
        names = self.chats.setdefault(chat, {"name": None, "members": {}})
        names["name"] = chat_name or names["name"]
        names["members"][sender] = True
        self.users[sender] = sender_name or self.users.get(sender)
        self._line("message", {"chat": {"externalChatId": chat}, "sender": {"externalUserId": sender}, **record})
        self.messages += 1

    def chats_and_users(self, policy):
        """They stand at the end, when all members are known: the order of records is free."""
        for user, name in self.users.items():
            self._line("user", {"externalUserId": user, "name": name})
        for chat, known in self.chats.items():
            members = [{"externalUserId": user} for user in known["members"]]
            self._line("chat", {"externalChatId": chat, "name": known["name"], "policy": policy, "members": members})

    @staticmethod
    def _line(kind, record):
        record = {"type": kind, **{key: value for key, value in record.items() if value is not None}}
        print(json.dumps(record, ensure_ascii=False, separators=(",", ":")))


def convert(file, args):
    """Writes everything: the number of rows that were left out, and what was written."""
    needed = [args.chat, args.sender, args.text, args.time, args.id, args.chat_name, args.sender_name, *args.metadata]
    table = Table(file, args.delimiter, [column for column in needed if column])
    file_name = "stdin" if args.file == "-" else os.path.basename(args.file)
    out = Output()
    left_out = 0
    for number, (line, fields) in enumerate(table, 1):
        try:
            if len(fields) != len(table.columns):
                raise BadRow(f"it has {len(fields)} fields, the first line {len(table.columns)}")
            row = dict(zip(table.columns, fields))
            for column in filter(None, (args.chat, args.sender, args.time, args.id)):
                row[column] = row[column].strip()
                if not row[column]:
                    raise BadRow(f"its {column} is empty")
            metadata = {column: row[column] for column in args.metadata if row[column]}
            time = time_of(row[args.time], args.time_format, args.utc_offset)
            out.message(row[args.chat], row.get(args.chat_name), row[args.sender], row.get(args.sender_name), {
                "original_id": row[args.id] if args.id else f"{file_name}:{number}",
                "text": row[args.text],
                "metadata": metadata or None,
                "created_at": time.isoformat().replace("+00:00", "Z"),
            })
        except BadRow as error:
            left_out += 1
            report(f"line {line}, row {number}, is left out: {error}")
    out.chats_and_users(args.policy)
    return left_out, out


def delimiter(text):
    text = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(text) != 1:
        raise argparse.ArgumentTypeError("is one character, or tab")
    return text


def encoding(name):
    try:
        found = codecs.lookup(name).name
        return "utf-8-sig" if found == "utf-8" else found  # with or without a byte order mark
    except LookupError as error:
        raise argparse.ArgumentTypeError("is the name of an encoding, such as utf-8 or cp1251") from error


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("file", metavar="FILE.csv", help="- is standard input")
    add("--chat", metavar="COLUMN", default="chat", help="the id of the chat (chat)")
    add("--sender", metavar="COLUMN", default="sender", help="the id of the user that wrote the message (sender)")
    add("--text", metavar="COLUMN", default="text", help="the text (text)")
    add("--time", metavar="COLUMN", default="time", help="when it was written: ISO 8601, epoch seconds or milliseconds (time)")
    add("--id", metavar="COLUMN", help="the id of the message, unique in its chat (FILE:ROW)")
    add("--chat-name", metavar="COLUMN", help="the name of the chat")
    add("--sender-name", metavar="COLUMN", help="the name of the sender")
    add("--metadata", metavar="COLUMN", action="append", default=[], help="a column to keep in the message's metadata; may be repeated")
    add("--time-format", metavar="FORMAT", help="how times are written, as in Python: '%%d.%%m.%%Y %%H:%%M'")
    add("--utc-offset", metavar="ZONE", type=zone_of, help="the zone of times without one: Z, +03:00, ...")
    add("--delimiter", metavar="CHARACTER", type=delimiter, help="between columns, if it is not recognised")
    add("--encoding", metavar="NAME", type=encoding, default="utf-8-sig", help="of the file, such as cp1251 (UTF-8)")
    add("--policy", choices=("open", "closed"), default="closed", help="whether every user may join a chat (closed)")
    return parser.parse_args()


def main():
    args = parse_arguments()
    csv.field_size_limit(2**31 - 1)
    with open(0 if args.file == "-" else args.file, encoding=args.encoding, newline="") as file:
        left_out, out = convert(file, args)
    sys.stdout.flush()
    report(f"wrote {len(out.users)} users, {len(out.chats)} chats, {out.messages} messages; left out {left_out} rows")
    return 1 if left_out else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UnicodeDecodeError as error:
        report(f"line 1 is not {error.encoding}: give --encoding, such as cp1251")
        sys.exit(2)
    except (Failure, OSError) as error:
        report(error)
        sys.exit(2)
