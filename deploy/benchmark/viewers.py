#!/usr/bin/env python3
"""Care managers in front of the page, and how long they wait for its first byte.

viewers.py PORT ACCOUNTS SECONDS: ACCOUNTS has a line "CODE PASSWORD DIGITS" for each; VIEWERS of them keep the worklist
open as a browser does (the event stream, and the list again when it says so) while one more asks for the worklist, a
patient's page and, as the reference, /healthz in turn. Prints milliseconds to the first byte.
"""
import asyncio
import os
import re
import sys
import time
import urllib.parse

VIEWERS = int(os.environ.get("VIEWERS", "50"))
PER_ACCOUNT = 8
port, accounts, seconds = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])


async def ask(path, cookie="", form=None):
    """Status, head and milliseconds to the first byte; the body is read to its end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        body = urllib.parse.urlencode(form).encode() if form else b""
        head = f"{'POST' if form else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        head += f"Accept: text/html\r\nSec-Fetch-Site: same-origin\r\nOrigin: http://127.0.0.1:{port}\r\nCookie: {cookie}\r\n"
        if form:
            head += f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
        began = time.perf_counter()
        writer.write(head.encode() + b"\r\n" + body)
        await writer.drain()
        first = await reader.readexactly(1)
        waited = (time.perf_counter() - began) * 1000
        answer = first + await reader.read()
        end = answer.find(b"\r\n\r\n")
        head = answer[:end].decode("latin-1")
        return int(head.split(" ", 2)[1]), head, waited, answer[end + 4 :]
    finally:
        writer.close()


async def sign_in(code, password, digits):
    status, head, _, _ = await ask("/sign-in", form={"code": code, "password": password, "digits": digits})
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "set-cookie":
            return value.strip().split(";", 1)[0]
    sys.exit(f"{code} could not sign in: {status}")


class Viewer:
    lists = 0
    changes = 0

    async def watch(self, cookie):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n".encode())
        again = asyncio.Event()

        async def refresh():
            while True:
                await again.wait()
                again.clear()
                status, _, _, _ = await ask("/?part=list&auto=1", cookie)
                if status != 200:
                    sys.exit(f"a viewer's list: {status}")
                Viewer.lists += 1

        status = await reader.readline()
        if b" 200 " not in status:
            answer = (await reader.read()).decode("utf-8", "replace")
            cause = re.search(r"Homeward can[^<]*", answer)
            sys.exit(f"an event stream: {status.decode('latin-1').strip()} {cause.group() if cause else ''}")
        task = asyncio.create_task(refresh())
        try:
            while line := await reader.readline():
                if line.startswith(b"event: changed"):
                    Viewer.changes += 1
                    again.set()
            sys.exit("an event stream ended")
        finally:
            task.cancel()
            writer.close()


def show(name, times, reference):
    """The first is told apart: whoever looks first after an upheaval waits until the ward has been read anew."""
    first, times = times[0], sorted(times[1:])
    middle, late = times[len(times) // 2], times[min(len(times) - 1, len(times) * 99 // 100)]
    ratio = f", {middle / reference:.1f} times /healthz" if reference else ""
    print(f"{name:34} p50 {middle:7.1f} ms   p99 {late:7.1f} ms   first {first:7.1f} ms   ({len(times)} times{ratio})")
    return middle


async def main():
    with open(accounts) as file:
        cookies = [await sign_in(*line.split()) for line in file]
    if len(cookies) * PER_ACCOUNT <= VIEWERS:
        sys.exit(f"{VIEWERS} viewers need {VIEWERS // PER_ACCOUNT + 1} accounts")
    tasks = [asyncio.create_task(Viewer().watch(cookies[number // PER_ACCOUNT])) for number in range(VIEWERS)]
    asked = {"/healthz": [], "/": [], os.environ.get("PATIENT", "/patients/S00001"): []}
    sizes = {}
    end = time.monotonic() + seconds
    while time.monotonic() < end or min(map(len, asked.values())) < 2:
        for path, times in asked.items():
            status, _, waited, body = await ask(path, cookies[0])
            if status != 200:
                sys.exit(f"{path}: {status}")
            times.append(waited)
            sizes[path] = len(body)
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.1)
    for task in tasks:
        task.cancel()
    reference = None
    for path, times in asked.items():
        middle = show(f"{path} ({sizes[path] // 1024} KiB)", times, reference)
        reference = reference or middle
    print(f"{VIEWERS} viewers heard of {Viewer.changes} changes and fetched {Viewer.lists} lists")


asyncio.run(main())
