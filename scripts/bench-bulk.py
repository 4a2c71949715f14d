#!/usr/bin/env python3
"""Measures what a bulk act costs the tasks that run beside it.

    scripts/bench-bulk.py FOLDER [--tasks 50000] [--runs 3] [--at-most PERCENT]

FOLDER holds the program tasker. Everything runs on a private server of `tasker dev`. A burst of tasks of
four steps in a chain is run alternately alone and while 50,000 tasks of another namespace, which wait for
a worker that is not there, are cancelled by POST /v1/bulk. An act that outlasts its burst is stopped, and
the next one goes on with the rest. Prints the median steps a second of both, what the act costs in
percent, and how many tasks it cancelled a second; fails where the cost is above --at-most.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request

WAITING = 50000


def shared():
    """What it has in common with bench-ui.py."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench-ui.py")
    spec = importlib.util.spec_from_file_location("bench_ui", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ui = shared()


def post(system, path, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{system.port}{path}", json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def until(system, condition):
    while system.value(f"select {condition}") != "t":
        time.sleep(0.05)


def fill_up(system):
    """Sees to it that WAITING tasks can be cancelled."""
    there = "select count(*) from tasker.tasks t where t.listed_as = 'in_progress'"
    missing = WAITING - int(system.value(there))
    submit = ui.SUBMIT.replace("'bench'", "'waiting'").format(missing)
    system.value(f"select count(*) from ({submit}) s")
    until(system, f"({there}) = {WAITING}")
    system.value("checkpoint; select 1")


def burst(system, tasks, acts):
    """Runs a burst, with an act beside it or without; answers steps a second and the act."""
    first = system.value("select tasker.new_task_uuid()")
    act = None
    if acts:
        selected = {"namespace": "waiting", "state": "in_progress"}
        act = post(system, "/v1/bulk", {"action": "cancel", "filter": selected})
    system.value(f"select count(*) from ({ui.SUBMIT.format(tasks)}) s")
    until(system, f"not exists(select from tasker.tasks where listed_as in ('pending', 'in_progress')"
                  f" and task_uuid > '{first}')")
    if act:
        act = post(system, f"/v1/bulk/{act['bulk_uuid']}/stop", {})
    took = "select extract(epoch from max(finished_at) - min(created_at)) from tasker.tasks" \
        f" where task_uuid > '{first}'"
    return tasks * ui.CHAIN / float(system.value(took)), act


def measure(system, args):
    rates = {False: [], True: []}
    cancelled = []
    burst(system, args.tasks, False)
    for _ in range(args.runs):
        for acts, measured in rates.items():
            fill_up(system)
            began = time.monotonic()
            rate, act = burst(system, args.tasks, acts)
            measured.append(rate)
            if act:
                cancelled.append(act["done"] / (time.monotonic() - began))
    alone, beside = (statistics.median(measured) for measured in rates.values())
    cost = (1 - beside / alone) * 100
    print(
        f"{alone:.0f} steps/s alone, {beside:.0f} beside a bulk act: {cost:.1f}% less; it cancelled "
        f"{statistics.median(cancelled):.0f} tasks/s"
    )
    print("alone:", *map(round, rates[False]), "beside:", *map(round, rates[True]))
    return cost


def apply_waiting(folder, system):
    """Applies the template of tasks that no worker runs."""
    steps = [
        {"name": f"s{n}", "handler": "bench.missing", "depends_on": [f"s{n - 1}"] if n else []}
        for n in range(ui.CHAIN)
    ]
    body = {"namespace": "waiting", "name": "chain", "version": "1.0.0", "steps": steps}
    subprocess.run(
        [f"{folder}/tasker", "template", "apply", "-"], input=json.dumps(body), text=True, check=True,
        env=os.environ | {"DATABASE_URL": system.printed(r"(postgres(?:ql)?://\S+)")},
        stdout=subprocess.DEVNULL,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--tasks", type=int, default=50000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--at-most", type=float)
    args = parser.parse_args()
    system = ui.System(args.folder)
    try:
        apply_waiting(args.folder, system)
        cost = measure(system, args)
    finally:
        system.close()
    if args.at_most is not None and cost > args.at_most:
        sys.exit(f"that is more than {args.at_most}%")


if __name__ == "__main__":
    main()
