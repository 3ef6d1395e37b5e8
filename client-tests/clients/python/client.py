"""Connects python-socketio to a server, and prints its events until standard input ends: a JSON object a line.

Does not know the meaning of a message. Usage: client.py sync|asyncio URL websocket|polling|upgraded TOKEN
"""

import asyncio
import json
import os
import sys

import socketio

TRANSPORTS = {"websocket": ["websocket"], "polling": ["polling"], "upgraded": ["polling", "websocket"]}


def report(event, detail):
    """Prints one event."""
    print(json.dumps({"event": event, "detail": detail}), flush=True)


def reporting(client):
    """Registers handlers, which are the same functions for both kinds of client."""
    client.on("connect", lambda: report("connected", client.transport()))
    client.on("connect_error", lambda error: report("refused", error))
    client.on("disconnect", lambda reason: report("disconnected", reason))
    client.on("new-message", lambda message: report("message", message))
    return client


def run_sync(url, options):
    """Runs the client that has threads."""
    reporting(socketio.Client()).connect(url, **options)
    sys.stdin.read()


async def run_asyncio(url, options):
    """Runs the client that has tasks."""
    await reporting(socketio.AsyncClient()).connect(url, **options)
    await asyncio.to_thread(sys.stdin.read)


def main(kind, url, transport, token):
    """Connects with what the command line names."""
    options = {"transports": TRANSPORTS[transport], "auth": {"token": token}}
    if kind == "sync":
        run_sync(url, options)
    else:
        asyncio.run(run_asyncio(url, options))


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # the client's threads wait for the server
