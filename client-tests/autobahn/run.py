"""Runs Autobahn's cases on a server that echoes, and prints their verdicts: a JSON object a line.

Does not judge them. Usage: run.py plain|engineio URL [CASES TO LEAVE OUT, such as '9.*']...
"""

import asyncio
import json
import os
import sys

import kosoku
from kosoku.cases import CASES

# How many cases run at once: most of those that take long only wait.
CONCURRENCY = 8

# By how much a case waits longer than specified: its seconds are those of an idle machine. Cases that pass do not wait.
PATIENCE = 20

TEXT = 1


def message(text):
    """A message of Engine.IO."""
    return b"4" + text if isinstance(text, bytes) else "4" + text


class Client:
    """A client that is patient, and otherwise the one that a case expects."""

    def __init__(self, client):
        self.__dict__.update(client=client, is_text=False)

    def __getattr__(self, name):
        return getattr(self.client, name)

    def __setattr__(self, name, value):
        setattr(self.client, name, value)

    def closeAfter(self, seconds):
        """Sends a close frame unless the case has ended by then."""
        self.client.closeAfter(seconds * PATIENCE)

    def killAfter(self, seconds):
        """Drops the connection unless the case has ended by then."""
        self.client.killAfter(seconds * PATIENCE)


class Messages(Client):
    """A client whose texts are messages of Engine.IO, in whatever pieces a case sends them; binary messages stay bare."""

    def sendFrame(self, opcode, payload=None, payload_len=None, **options):
        """Sends one frame; `payload_len` has the payload repeated up to that length."""
        if opcode == TEXT:
            payload = payload or ""
            if payload_len is not None:
                payload = (payload * (payload_len // len(payload) + 1))[:payload_len]
            payload, payload_len = message(payload), None
        self.client.sendFrame(opcode, payload, payload_len=payload_len, **options)

    def sendMessage(self, payload=None, isBinary=False, **options):
        """Sends a message in frames of a size."""
        self.client.sendMessage(payload if isBinary else message(payload), isBinary, **options)

    def beginMessage(self, isBinary=False):
        """Begins a message whose frames follow."""
        self.__dict__["is_text"] = not isBinary
        self.client.beginMessage(isBinary)

    def beginMessageFrame(self, length):
        """Begins a frame whose bytes follow."""
        first, self.__dict__["is_text"] = self.is_text, False
        self.client.beginMessageFrame(length + first)
        if first:
            self.client.sendMessageFrameData(b"4")


def plain(case):
    """The same case, patient."""

    class Plain(case):
        def __init__(self, client):
            super().__init__(Client(client))

    return Plain


def over_engineio(case):
    """The same case in a session of Engine.IO 4: it begins when the OPEN packet comes."""

    class OverEngineIo(case):
        def __init__(self, client):
            super().__init__(Messages(client))
            self.is_open = False

        def onOpen(self):
            self.p.killAfter(1)

        def onMessage(self, msg, binary):
            if not self.is_open:
                self.is_open = not binary and msg.startswith("0{")
                assert self.is_open, f"the OPEN packet comes first, not {msg!r}"
                super().onOpen()
            elif binary:
                super().onMessage(msg, binary)
            else:
                assert msg.startswith("4"), f"a text is a message, not {msg[:100]!r}"
                super().onMessage(msg[1:], binary)

    return OverEngineIo


async def run(framing, url, left_out):
    """Runs the cases; returns their results, whatever they are."""
    wrapped = {"plain": plain, "engineio": over_engineio}[framing]
    CASES.update({name: wrapped(case) for name, case in CASES.items()})
    try:
        return await kosoku.run_fuzzingclient(url, None, left_out or None, CONCURRENCY)
    except kosoku.FailureError as failure:
        return failure.results


for result in asyncio.run(run(sys.argv[1], sys.argv[2], sys.argv[3:])):
    why = f"{result.result} {result.result_close}"
    verdict = {"case": result.case_id, "behavior": result.behavior.value, "close": result.behavior_close.value, "why": why}
    print(json.dumps(verdict))

# All verdicts are printed. The end of the interpreter, beside the threads of the library, may abort the process.
sys.stdout.flush()
os._exit(0)
