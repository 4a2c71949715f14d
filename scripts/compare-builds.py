#!/usr/bin/env python3
"""Compares the speed of two builds of tasker, task by task in turns, on one machine.

    scripts/compare-builds.py OLD NEW [--steps 3] [--tasks 1] [--rounds 150] [--launches 8]

Each build runs `tasker dev` on a private server of its own, with builtin.noop. A round submits
tasks with a chain of steps to the one and then to the other, and takes the time from submission to
the end of the last by each server's clock: the machine's swings fall on both. A server keeps some
per cent of luck for as long as it runs, so each launch starts both again, in the other order, and
gives one ratio. TASKER__* variables reach both.
"""

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time


class Build:
    """A whole system of one build, and a session on its database."""

    def __init__(self, program, steps):
        self.folder = tempfile.TemporaryDirectory(prefix="tasker-compare-")
        env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        env["XDG_RUNTIME_DIR"] = self.folder.name
        log = os.path.join(self.folder.name, "log")
        args = [program, "dev", "--ephemeral", "--bind", "127.0.0.1:0"]
        with open(log, "w") as output:
            self.dev = subprocess.Popen(args, stdout=output, stderr=output, env=env)
        self.url = self.url_in(log)
        template = os.path.join(self.folder.name, "chain.yaml")
        with open(template, "w") as file:
            file.write("namespace: compare\nname: chain\nversion: 1.0.0\nsteps:\n")
            for number in range(steps):
                after = f", depends_on: [s{number - 1}]" if number else ""
                file.write(f"  - {{ name: s{number}, handler: builtin.noop{after} }}\n")
        apply = [program, "template", "apply", template, "--database-url", self.url]
        subprocess.run(apply, check=True, stdout=subprocess.DEVNULL)
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", self.url],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )

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
    """The median time of each program, started in this order."""
    builds = {program: Build(program, args.steps) for program in programs}
    times = {program: [] for program in programs}
    try:
        for number in range(-5, args.rounds):
            for program in programs if number % 2 else reversed(programs):
                took = builds[program].milliseconds(args.tasks)
                if number >= 0:
                    times[program].append(took)
    finally:
        for build in builds.values():
            build.stop()
    return {program: statistics.median(taken) for program, taken in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=150)
    parser.add_argument("--launches", type=int, default=8)
    args = parser.parse_args()
    ratios = []
    for number in range(args.launches):
        order = [args.old, args.new] if number % 2 else [args.new, args.old]
        medians = launch(order, args)
        ratios.append(medians[args.new] / medians[args.old] - 1)
        print(f"{medians[args.old]:.3f} ms, {medians[args.new]:.3f} ms: {ratios[-1]:+.1%}", flush=True)
    print(f"new against old: {statistics.median(ratios):+.1%} ({min(ratios):+.1%} to {max(ratios):+.1%})")


if __name__ == "__main__":
    main()
