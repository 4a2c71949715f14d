#!/usr/bin/env python3
"""Measures workers of each language on steps that do next to nothing, and lets them share a namespace.

    scripts/bench-workers.py FOLDER [--tasks 1000] [--runs 5] [--fleet 5000] [LANGUAGE …]

FOLDER holds the programs tasker and examples/conformance_worker, and the native part of the gem, as
`make bench-workers` builds them. Everything runs on a private server of `tasker dev`, whose own worker
knows none of the handlers. For each language a worker runs tasks of four steps in a chain, as it comes
and with every step going through the queue: medians of the runs of steps a second, and of the processor
time of the worker for a step; and its memory before the first run and after the last. Then a worker
of each shares tasks of six steps that change the language at each hop, is killed in the middle and
started again, and `tasker doctor` says whether all is sound.
"""

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LANGUAGES = ["rust", "ruby", "python"]
CHAIN = 4
HOPS = 6
# Of handlers that may run at the same time: what each language takes by itself.
CONCURRENCY = {"rust": 100, "ruby": 20, "python": 100}


def command(language, folder):
    """The program of a worker with the handlers of the conformance suite."""
    if language == "rust":
        return [f"{folder}/examples/conformance_worker"], {}
    if language == "ruby":
        gem = f"{ROOT}/workers/ruby"
        paths = ["-I", f"{gem}/lib", "-I", f"{folder}/ruby", "-I", f"{gem}/spec"]
        worker = [f"{gem}/exe/tasker-worker", "--require", "conformance_handlers"]
        return [os.environ.get("TASKER_RUBY", "ruby"), *paths, *worker], {}
    package = f"{ROOT}/workers/python"
    worker = [sys.executable, "-m", "tasker_worker", "--require", "conformance_handlers"]
    return worker, {"PYTHONPATH": f"{package}:{package}/tests"}


class System:
    """An orchestrator on a private server, and a session on its database."""

    def __init__(self, folder):
        self.folder = folder
        self.temporary = tempfile.TemporaryDirectory(prefix="tasker-workers-")
        self.env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        self.env["XDG_RUNTIME_DIR"] = self.temporary.name
        log = os.path.join(self.temporary.name, "log")
        dev = [f"{folder}/tasker", "dev", "--ephemeral", "--bind", "127.0.0.1:0"]
        with open(log, "w") as output:
            self.dev = subprocess.Popen(dev, stdout=output, stderr=output, env=self.env)
        self.env["DATABASE_URL"] = url_in(log)
        self.psql = subprocess.Popen(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", self.env["DATABASE_URL"]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )

    def value(self, sql):
        self.psql.stdin.write(sql + ";\n")
        return self.psql.stdout.readline().rstrip("\n")

    def template(self, name, languages):
        steps = []
        for number, language in enumerate(languages):
            after = [f"s{number - 1}"] if number else []
            handler = f"conformance.in_{language}"
            steps.append({"name": f"s{number}", "handler": handler, "depends_on": after})
        body = {"namespace": "conformance", "name": name, "version": "1.0.0", "steps": steps}
        apply = [f"{self.folder}/tasker", "template", "apply", "-"]
        subprocess.run(
            apply, input=json.dumps(body), text=True, check=True, env=self.env,
            stdout=subprocess.DEVNULL,
        )

    def worker(self, language, name, limit=None):
        program, more = command(language, self.folder)
        settings = {
            "NAMESPACE": "conformance", "INSTANCE_ID": name,
            "TASKER__WORKER__CONCURRENCY": str(CONCURRENCY[language]),
            "TASKER__WORKER__LEASE_SECONDS": "5",
        }
        if limit is not None:
            settings["TASKER__WORKER__CONTINUATION_LIMIT"] = str(limit)
        with open(os.path.join(self.temporary.name, f"{name}.log"), "w") as log:
            process = subprocess.Popen(
                program, env={**self.env, **settings, **more}, stdout=log, stderr=log
            )
        there = f"select exists(select from tasker.processes where identity = '{name}')"
        while self.value(there) != "t":
            if process.poll() is not None:
                raise SystemExit(f"the {language} worker ended:\n{open(log.name).read()}")
            time.sleep(0.05)
        return process

    def run(self, name, tasks):
        """Submits the tasks and waits for them; answers the seconds."""
        started = time.monotonic()
        self.submit(name, tasks)
        self.wait()
        return time.monotonic() - started

    def submit(self, name, tasks):
        submit = f"tasker.submit_task('conformance', '{name}')"
        self.value(f"select count({submit}) from generate_series(1, {tasks})")

    def wait(self):
        unfinished = "select count(*) from tasker.tasks where listed_as = 'in_progress'"
        while self.value(unfinished) != "0":
            time.sleep(0.01)

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()
        self.dev.send_signal(signal.SIGINT)
        self.dev.wait(60)


def url_in(log):
    for _ in range(600):
        time.sleep(0.1)
        found = re.search(r"(postgres(?:ql)?://\S+)", open(log).read())
        if found:
            time.sleep(3)  # roles come up after the server
            return found.group(1)
    raise SystemExit(f"tasker dev did not start:\n{open(log).read()}")


def processor_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))


def stop(process):
    process.send_signal(signal.SIGTERM)
    if process.wait(60) != 0:
        raise SystemExit(f"a worker ended with {process.returncode}")


def measure(system, language, way, limit, options):
    worker = system.worker(language, f"{language}-{way}", limit)
    system.run(language, 100)
    before = resident_kb(worker.pid)
    rates, costs = [], []
    for _ in range(options.runs):
        used = processor_seconds(worker.pid)
        seconds = system.run(language, options.tasks)
        steps = CHAIN * options.tasks
        rates.append(steps / seconds)
        costs.append((processor_seconds(worker.pid) - used) / steps * 1e6)
    after = resident_kb(worker.pid)
    stop(worker)
    print(
        f"{language:7} {way:13} {statistics.median(rates):6.0f} steps/s "
        f"{statistics.median(costs):5.0f} µs of processor a step, "
        f"{before / 1024:.0f} → {after / 1024:.0f} MiB",
        flush=True,
    )


def share(system, languages, tasks):
    system.template("hops", [languages[hop % len(languages)] for hop in range(HOPS)])
    fleet = {language: system.worker(language, f"{language}-fleet") for language in languages}
    started = time.monotonic()
    system.submit("hops", tasks)
    complete = "select count(*) from tasker.steps where state = 'complete' and task_uuid in " \
        "(select task_uuid from tasker.tasks where listed_as = 'in_progress')"
    for number, language in enumerate(languages):
        while int(system.value(complete)) < HOPS * tasks * number // 10 and unfinished(system):
            time.sleep(0.05)
        fleet[language].kill()
        fleet[language].wait()
        fleet[language] = system.worker(language, f"{language}-again")
    system.wait()
    seconds = time.monotonic() - started
    again = system.value("select count(*) from tasker.steps where attempt > 1")
    for worker in fleet.values():
        stop(worker)
    doctor = subprocess.run(
        [f"{system.folder}/tasker", "doctor"], env=system.env, capture_output=True, text=True
    )
    if doctor.returncode:
        raise SystemExit(doctor.stdout)
    print(
        f"fleet of {', '.join(languages)}: {tasks} tasks of {HOPS} hops in {seconds:.1f} s, each worker "
        f"killed once, {again} steps at a second attempt, doctor finds nothing",
        flush=True,
    )


def unfinished(system):
    return system.value("select count(*) from tasker.tasks where listed_as = 'in_progress'") != "0"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fleet", type=int, default=5000)
    parser.add_argument("languages", nargs="*", default=LANGUAGES, metavar="LANGUAGE")
    options = parser.parse_args()
    system = System(os.path.abspath(options.folder))
    try:
        for language in options.languages:
            system.template(language, [language] * CHAIN)
            measure(system, language, "continued", None, options)
            measure(system, language, "queued", 0, options)
        if options.fleet:
            share(system, options.languages, options.fleet)
    finally:
        system.close()


if __name__ == "__main__":
    main()
