#!/usr/bin/env python3
"""Measures what open pages of the web interface cost a burst of tasks.

    scripts/bench-ui.py FOLDER [--pages 200] [--tasks 50000] [--runs 5] [--at-most PERCENT]

FOLDER holds the program tasker. Everything runs on a private server of `tasker dev`. A burst of tasks of
four steps in a chain is run alternately alone and while pages are open: half of them lists and the
overview, half of them tasks of the burst. As in a browser, each holds a stream of changes and fetches
itself again whenever it hears of one. Prints the median steps a second of both, what the pages cost in
percent, and how many fetches that were; fails where the cost is above --at-most. The clients run on
the same machine: what they take is part of the cost, and told beside it.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

CHAIN = 4
LISTS = ["/ui", "/ui/tasks", "/ui/queues", "/ui/processes"]
SUBMIT = "select tasker.submit_task('bench', 'chain', '{{}}') from generate_series(1, {})"


class System:
    """All roles in one process, on a private server, and a session on its database."""

    def __init__(self, folder):
        self.temporary = tempfile.TemporaryDirectory(prefix="tasker-ui-")
        env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        env["XDG_RUNTIME_DIR"] = self.temporary.name
        self.log = os.path.join(self.temporary.name, "log")
        dev = [f"{folder}/tasker", "dev", "--ephemeral", "--bind", "127.0.0.1:0"]
        with open(self.log, "w") as output:
            self.dev = subprocess.Popen(dev, stdout=output, stderr=output, env=env)
        self.port = int(self.printed(r"API +http://127.0.0.1:(\d+)"))
        env["DATABASE_URL"] = self.printed(r"(postgres(?:ql)?://\S+)")
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", env["DATABASE_URL"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        steps = [
            {"name": f"s{n}", "handler": "builtin.noop", "depends_on": [f"s{n - 1}"] if n else []}
            for n in range(CHAIN)
        ]
        body = {"namespace": "bench", "name": "chain", "version": "1.0.0", "steps": steps}
        apply = [f"{folder}/tasker", "template", "apply", "-"]
        subprocess.run(
            apply, input=json.dumps(body), text=True, check=True, env=env, stdout=subprocess.DEVNULL
        )

    def printed(self, pattern):
        for _ in range(600):
            found = re.search(pattern, open(self.log).read())
            if found:
                return found.group(1)
            time.sleep(0.1)
        raise SystemExit(f"tasker dev did not start:\n{open(self.log).read()}")

    def value(self, sql):
        self.psql.stdin.write(sql + ";\n")
        return self.psql.stdout.readline().rstrip("\n")

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()
        self.dev.send_signal(signal.SIGINT)
        self.dev.wait(60)


class Page:
    """What a browser does with an open page."""

    fetches = 0
    failures = 0

    def __init__(self, port, path, live):
        self.port, self.path, self.live = port, path, live
        self.connection = None

    async def request(self, path):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        return reader, writer, head

    async def fetch(self, mark):
        """Fetches the page on a connection that is kept; mark is what the event said."""
        if self.connection is None:
            self.connection = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.connection
        writer.write(
            f"GET {self.path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-tasker-live: {mark}\r\n\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        await reader.readexactly(int(re.search(r"content-length: (\d+)", head).group(1)))
        Page.fetches += 1
        Page.failures += " 200 " not in head.split("\r\n")[0]

    async def stay_open(self):
        reader, writer, head = await self.request(self.live)
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise SystemExit(f"{self.live} was refused: {head.decode()}")
        try:
            while True:
                name, _, data = (await reader.readline()).decode().partition(":")
                if name == "data":
                    await self.fetch(data.strip())
        finally:
            writer.close()
            if self.connection:
                self.connection[1].close()


async def burst(system, tasks, pages):
    """Runs a burst with so many pages open; answers steps a second."""
    began = system.value("select clock_timestamp()")
    lists = [Page(system.port, LISTS[n % len(LISTS)], "/ui/live") for n in range(pages - pages // 2)]
    open_pages = [asyncio.create_task(page.stay_open()) for page in lists]
    await asyncio.sleep(1)
    system.value(f"select count(*) from ({SUBMIT.format(tasks)}) s")
    shown = f"select string_agg(task_uuid::text, ' ') from (select task_uuid from tasker.tasks" \
        f" where listed_as = 'in_progress' order by task_uuid desc limit {pages // 2}) t"
    for task in system.value(shown).split():
        page = Page(system.port, f"/ui/tasks/{task}", f"/ui/live?task_uuid={task}")
        open_pages.append(asyncio.create_task(page.stay_open()))
    unfinished = "select exists(select from tasker.tasks where listed_as = 'in_progress')"
    while system.value(unfinished) == "t":
        await asyncio.sleep(0.05)
    for page in open_pages:
        if page.done() and page.exception():
            raise page.exception()
        page.cancel()
    await asyncio.gather(*open_pages, return_exceptions=True)
    took = f"select extract(epoch from max(finished_at) - min(created_at)) from tasker.tasks" \
        f" where created_at >= '{began}'"
    return tasks * CHAIN / float(system.value(took))


async def measure(system, args):
    rates = {0: [], args.pages: []}
    await burst(system, args.tasks, 0)
    began, clients = time.monotonic(), 0.0
    for _ in range(args.runs):
        for pages, measured in rates.items():
            before = time.process_time()
            measured.append(await burst(system, args.tasks, pages))
            clients += (time.process_time() - before) if pages else 0.0
    alone, watched = (statistics.median(measured) for measured in rates.values())
    cost = (1 - watched / alone) * 100
    print(
        f"{alone:.0f} steps/s alone, {watched:.0f} with {args.pages} pages open: {cost:.1f}% less; "
        f"{Page.fetches} fetches, {Page.failures} of them refused, which took the clients "
        f"{clients:.1f} s of processor time in {time.monotonic() - began:.0f} s"
    )
    return cost


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--pages", type=int, default=200)
    parser.add_argument("--tasks", type=int, default=50000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--at-most", type=float)
    args = parser.parse_args()
    system = System(args.folder)
    try:
        cost = asyncio.run(measure(system, args))
    finally:
        system.close()
    if args.at_most is not None and cost > args.at_most:
        sys.exit(f"that is more than {args.at_most}%")


if __name__ == "__main__":
    main()
