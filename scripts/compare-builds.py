#!/usr/bin/env python3
"""Compares the speed of two builds of tasker, task by task in turns, on one machine.

    scripts/compare-builds.py OLD NEW [--steps 3 | --fan-out 100] [--tasks 1 | --rest]
                              [--rounds 150] [--launches 8]

Each build runs `tasker dev` on a private server of its own, with builtin.noop. A round submits
tasks with a chain of steps, or with a step, so many beside each other and one after them, to the one
and then to the other, and takes the time from submission to the end of the last by each server's
clock: the machine's swings fall on both. With --rest it is one task over the API, by the clock of a
client that submits it and waits for its end. A server keeps some per cent of luck for as long as it
runs, so each launch starts both again, in the other order, and gives one ratio of times, and one of
the processor time of PostgreSQL's sessions. TASKER__* variables reach both.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import tempfile
import time


def steps(args):
    """The lines of the template."""
    if not args.fan_out:
        after = {number: [number - 1] if number else [] for number in range(args.steps)}
    else:
        middle = range(1, args.fan_out + 1)
        after = {0: [], **{number: [0] for number in middle}, args.fan_out + 1: list(middle)}
    for number, dependencies in after.items():
        names = ", ".join(f"s{dependency}" for dependency in dependencies)
        yield f"  - {{ name: s{number}, handler: builtin.noop, depends_on: [{names}] }}\n"


class Build:
    """A whole system of one build, and a session on its database."""

    def __init__(self, program, args):
        self.folder = tempfile.TemporaryDirectory(prefix="tasker-compare-")
        env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        env["XDG_RUNTIME_DIR"] = self.folder.name
        log = os.path.join(self.folder.name, "log")
        dev = [program, "dev", "--ephemeral", "--bind", "127.0.0.1:0"]
        with open(log, "w") as output:
            self.dev = subprocess.Popen(dev, stdout=output, stderr=output, env=env)
        self.url = self.url_in(log)
        template = os.path.join(self.folder.name, "chain.yaml")
        with open(template, "w") as file:
            file.write("namespace: compare\nname: chain\nversion: 1.0.0\nsteps:\n")
            file.writelines(steps(args))
        apply = [program, "template", "apply", template, "--database-url", self.url]
        subprocess.run(apply, check=True, stdout=subprocess.DEVNULL)
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", self.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )

        api = re.search(r"http://(127\.0\.0\.1:\d+)", open(log).read()).group(1)
        self.api = http.client.HTTPConnection(api)

    def url_in(self, log):
        for _ in range(600):
            time.sleep(0.1)
            found = re.search(r"(postgres(?:ql)?://\S+)", open(log).read())
            if found:
                time.sleep(3)  # roles come up after the server
                return found.group(1)
        raise SystemExit(f"tasker dev did not start:\n{open(log).read()}")

    def row(self, sql):
        self.psql.stdin.write(sql + ";\n")
        return self.psql.stdout.readline().rstrip("\n").split("|")

    def answer(self, method, path, body=None):
        self.api.request(method, path, body, {"content-type": "application/json"})
        return json.loads(self.api.getresponse().read())

    def milliseconds_over_rest(self):
        task = json.dumps({"namespace": "compare", "name": "chain"}).encode()
        begun = time.perf_counter()
        uuid = self.answer("POST", "/v1/tasks", task)["task_uuid"]
        state = self.answer("GET", f"/v1/tasks/{uuid}?wait_ms=20000")["state"]
        assert state == "complete", state
        return (time.perf_counter() - begun) * 1000

    def processor_seconds(self):
        """Of the sessions of the database."""
        sessions = self.row("select string_agg(pid::text, ',') from pg_stat_activity where datid > 0")[0]
        seconds = 0
        for session in sessions.split(","):
            try:
                seconds += int(open(f"/proc/{session}/schedstat").read().split()[0]) / 1e9
            except OSError:
                pass  # it has just ended
        return seconds

    def milliseconds(self, tasks):
        begun = self.row("select clock_timestamp()")[0]
        submit = "tasker.submit_task('compare', 'chain')"
        self.row(f"select count(s) from (select {submit} as s from generate_series(1, {tasks})) t")
        while True:
            time.sleep(0.02 if tasks == 1 else 0.1)
            left, took = self.row(
                "select count(*) filter (where state <> 'complete'), "
                "extract(epoch from max(finished_at) - min(created_at)) * 1000 "
                f"from tasker.tasks where created_at >= '{begun}'"
            )
            if left == "0":
                return float(took)

    def stop(self):
        self.psql.stdin.close()
        self.psql.wait()
        self.dev.send_signal(2)
        self.dev.wait(60)
        self.folder.cleanup()


def launch(programs, args):
    """The median time of each program, started in this order, and PostgreSQL's processor time."""
    builds = {program: Build(program, args) for program in programs}
    times = {program: [] for program in programs}
    try:
        for number in range(-5, args.rounds):
            if number == 0:
                before = {program: builds[program].processor_seconds() for program in programs}
            for program in programs if number % 2 else reversed(programs):
                build = builds[program]
                took = build.milliseconds_over_rest() if args.rest else build.milliseconds(args.tasks)
                if number >= 0:
                    times[program].append(took)
        spent = {program: builds[program].processor_seconds() - before[program] for program in programs}
    finally:
        for build in builds.values():
            build.stop()
    return {program: (statistics.median(times[program]), spent[program]) for program in programs}


def spread(what, ratios):
    print(f"{what}, new against old: {statistics.median(ratios):+.1%} ({min(ratios):+.1%} to {max(ratios):+.1%})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--fan-out", type=int, default=0)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--rest", action="store_true")
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--launches", type=int, default=8)
    args = parser.parse_args()
    times, processor = [], []
    for number in range(args.launches):
        order = [args.old, args.new] if number % 2 else [args.new, args.old]
        taken = launch(order, args)
        (old, old_spent), (new, new_spent) = taken[args.old], taken[args.new]
        times.append(new / old - 1)
        processor.append(new_spent / old_spent - 1)
        print(f"{old:.3f} ms, {new:.3f} ms: {times[-1]:+.1%}; processor {processor[-1]:+.1%}", flush=True)
    spread("time", times)
    spread("PostgreSQL's processor", processor)


if __name__ == "__main__":
    main()
