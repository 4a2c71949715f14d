#!/usr/bin/env python3
"""Checks the files of deploy/ without a cluster: that Kubernetes would accept the manifests, by its own
schemas; that Grafana knows every field of the dashboards; that what refers to something finds it; and
that `tasker` understands every setting which manifests, compose files and units give it.

It needs PyYAML, kubernetes-validate and Grafana's foundation SDK, which it puts into .deploy-tools where
they are missing and pip can fetch them; where that is not possible either, it says so and checks nothing.
"""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".deploy-tools"
PACKAGES = ["PyYAML", "kubernetes-validate==1.37.0", "grafana-foundation-sdk==1769699998!10.1.0"]
KUBERNETES = "1.30"
# What manifests hold that has no schema among those of Kubernetes.
CUSTOM = {"kustomize.config.k8s.io/v1beta1", "keda.sh/v1alpha1"}
DATABASE = "postgres://user@localhost:5432/tasker"

faults = []


def fault(text):
    faults.append(text)
    print(f"check-deploy: {text}", file=sys.stderr)


def tools():
    """The modules, fetched where they are missing."""
    sys.path.append(str(TOOLS))
    for attempt in range(2):
        try:
            import grafana_foundation_sdk.models.dashboard as grafana
            import kubernetes_validate
            import yaml

            return yaml, kubernetes_validate, grafana
        except ImportError:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            pip += ["--root-user-action=ignore", "--target", str(TOOLS), *PACKAGES]
            if attempt or subprocess.run(pip, check=False).returncode != 0:
                print(f"check-deploy: {', '.join(PACKAGES)} cannot be fetched; nothing is checked")
                print("check-deploy: that needs pip: sudo apt-get install python3-pip")
                sys.exit(0)
            # Python remembers that the folder was not there.
            importlib.invalidate_caches()


def tasker():
    binary = ROOT / os.environ.get("TASKER_BINARY", "target/debug/tasker")
    if not binary.exists():
        fault(f"{binary} is missing: build it, or set TASKER_BINARY")
        sys.exit(1)
    return str(binary)


def check_settings(where, environment):
    """`tasker` has to accept these variables, and each has to be one that it reads."""
    known = {"DATABASE_URL", "DEPLOYMENT_MODE", "INSTANCE_ID", "NAMESPACE", "POLL_INTERVAL_MS"}
    for name in environment:
        if name not in known | {"RUST_LOG", "TASKER_ENV"} and not name.startswith("TASKER__"):
            fault(f"{where}: tasker reads no variable {name}")
    variables = {"PATH": os.environ["PATH"], "DATABASE_URL": DATABASE, **environment}
    # Elsewhere than in the checkout, as in a container: no folder of configuration is found.
    answer = subprocess.run([tasker(), "config", "validate"], env=variables, cwd="/", text=True, capture_output=True)
    if answer.returncode != 0:
        fault(f"{where}: {answer.stderr.strip()}")


# --- Kubernetes ------------------------------------------------------------------------------------


def manifests(yaml):
    """Every document below deploy/kubernetes, with its file."""
    for file in sorted((ROOT / "deploy/kubernetes").rglob("*.yaml")):
        for document in yaml.safe_load_all(file.read_text()):
            yield file.relative_to(ROOT), document


def check_kubernetes(yaml, kubernetes_validate):
    documents = list(manifests(yaml))
    by_kind = {}
    for file, document in documents:
        by_kind.setdefault(document["kind"], []).append((file, document))
        if document["apiVersion"] not in CUSTOM:
            try:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                fault(f"{file}: {document['kind']} {'.'.join(map(str, error.path))}: {error.message}")
    for file, document in by_kind["Kustomization"]:
        for resource in document["resources"]:
            if not (ROOT / file.parent / resource).exists():
                fault(f"{file}: there is no {resource}")
        listed = set(document["resources"]) | {file.name}
        for other in (ROOT / file.parent).glob("*.yaml"):
            if other.name not in listed:
                fault(f"{file}: {other.name} is left out")
    check_references(by_kind)
    for file, workload in by_kind["Deployment"] + by_kind["Job"]:
        check_pod(file, workload, by_kind)
    return len(documents)


def check_references(by_kind):
    deployments = [document for _, document in by_kind["Deployment"]]
    labels = [deployment["spec"]["template"]["metadata"]["labels"] for deployment in deployments]

    def matches(selector):
        return any(selector.items() <= pod.items() for pod in labels)

    for file, document in by_kind["Deployment"] + by_kind["PodDisruptionBudget"]:
        if not matches(document["spec"]["selector"]["matchLabels"]):
            fault(f"{file}: no pod has the labels that {document['kind']} {document['metadata']['name']} selects")
    for file, document in by_kind["Service"]:
        if not matches(document["spec"]["selector"]):
            fault(f"{file}: the service selects no pod")
    names = {deployment["metadata"]["name"] for deployment in deployments}
    for file, document in by_kind["ScaledObject"]:
        if document["spec"]["scaleTargetRef"]["name"] not in names:
            fault(f"{file}: it scales what does not exist")
        for trigger in document["spec"]["triggers"]:
            # All values of a trigger are texts.
            for key, value in trigger["metadata"].items():
                if not isinstance(value, str):
                    fault(f"{file}: {key} has to be a text")
    selectors = [document["spec"]["selector"]["matchLabels"] for _, document in by_kind["PodDisruptionBudget"]]
    for name in names - {selector.get("app.kubernetes.io/component") for selector in selectors}:
        fault(f"{name} has no PodDisruptionBudget")


def check_pod(file, workload, by_kind):
    spec = workload["spec"]["template"]["spec"]
    configuration = {document["metadata"]["name"]: document["data"] for _, document in by_kind["ConfigMap"]}
    if not spec["securityContext"].get("runAsNonRoot"):
        fault(f"{file}: the pod may run as root")
    for container in spec["containers"]:
        context = container["securityContext"]
        may_write, may_rise = not context["readOnlyRootFilesystem"], context["allowPrivilegeEscalation"]
        if may_write or may_rise or context["capabilities"]["drop"] != ["ALL"]:
            fault(f"{file}: {container['name']} may do more than it needs")
        environment = {}
        for source in container.get("envFrom", []):
            environment.update(configuration[source["configMapRef"]["name"]])
        for variable in container["env"]:
            # What comes from a secret or from the pod is not in the manifest.
            elsewhere = DATABASE if variable["name"] == "DATABASE_URL" else "name"
            environment[variable["name"]] = variable.get("value", elsewhere)
        check_settings(f"{file}: {container['name']}", environment)


# --- compose ---------------------------------------------------------------------------------------


def interpolated(text):
    """As compose reads it: defaults of variables, and $$ for one dollar."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
    text = re.sub(r"\$\{DATABASE_URL:\?[^}]*\}", DATABASE, text)
    return re.sub(r"\$\{\w+:\?[^}]*\}", "given", text).replace("$$", "$")


def check_compose(yaml):
    services = {}
    for file in ["docker-compose.production.yml", "docker-compose.postgresql.yml"]:
        text = interpolated((ROOT / "deploy" / file).read_text())
        for name, service in yaml.safe_load(text)["services"].items():
            services.setdefault(name, {}).update(service)
    for name, service in services.items():
        if name != "postgres":
            environment = {key: str(value) for key, value in service.get("environment", {}).items()}
            check_settings(f"compose, {name}", environment)
    for name in ["orchestrator-event-driven", "orchestrator-polling", "worker-fulfillment", "worker-polling"]:
        service = services[name]
        if not (service["read_only"] and service["stop_grace_period"] and service["deploy"]["resources"]["limits"]):
            fault(f"compose, {name}: it lacks a limit")
    return len(services)


# --- systemd ---------------------------------------------------------------------------------------


def check_units():
    units = sorted((ROOT / "deploy/systemd").glob("*.service"))
    for unit in units:
        environment = {}
        for line in re.findall(r"^Environment=(.*)$", unit.read_text(), re.MULTILINE):
            environment.update(pair.split("=", 1) for pair in line.replace("%i", "name").replace("%H", "host").split())
        check_settings(unit.name, environment)
    text = (ROOT / "deploy/systemd/tasker.env").read_text()
    # Settings that are commented out are right as well.
    pairs = re.findall(r"^#?([A-Z_]+)=(\S+)$", text, re.MULTILINE)
    check_settings("tasker.env", dict(pairs))
    return len(units)


# --- Grafana ---------------------------------------------------------------------------------------

# What Grafana gives a value itself, and its name of all values of a variable.
BUILT_IN = {"__rate_interval", "__interval", "__range", "__all"}


def unknown(given, kept, path=""):
    """Fields that are gone once Grafana's model has read and written a dashboard. It knows the names of
    fields, not which values Grafana takes, nor what the panels' plugins do with their options."""
    if isinstance(given, dict) and isinstance(kept, dict):
        for key, value in given.items():
            yield from unknown(value, kept[key], f"{path}.{key}") if key in kept else [f"{path}.{key}"]
    elif isinstance(given, list) and isinstance(kept, list) and len(given) == len(kept):
        for index, value in enumerate(given):
            yield from unknown(value, kept[index], f"{path}[{index}]")
    elif given != kept:
        yield path


def model_of(value):
    """A part of the model as JSON."""
    return json.loads(json.dumps(value, default=lambda part: part.to_json()))


def check_dashboards(grafana):
    uids = {}
    for path in sorted((ROOT / "deploy/grafana").glob("*.json")):
        file, dashboard = path.relative_to(ROOT), json.loads(path.read_text())
        for field in unknown(dashboard, model_of(grafana.Dashboard.from_json(dashboard))):
            fault(f"{file}: Grafana does not know {field.lstrip('.')}, or not its value")
        # An import with the uid of another dashboard replaces that one.
        if uids.setdefault(dashboard["uid"], file) != file:
            fault(f"{file}: {uids[dashboard['uid']]} has the same uid")
        if dashboard.get("id") is not None:
            fault(f"{file}: it has an id, which is of one Grafana only; take that out")
        variables = {variable["name"] for variable in dashboard["templating"]["list"]}
        for name in set(re.findall(r"\$\{?(\w+)", json.dumps(dashboard))) - variables - BUILT_IN:
            fault(f"{file}: there is no variable {name}")
        check_panels(file, dashboard["panels"])
    return len(uids)


def check_panels(file, panels):
    taken, ids = {}, set()
    for panel in panels:
        where, grid = f"{file}: {panel['title']}", panel["gridPos"]
        if panel["id"] in ids:
            fault(f"{where}: another panel has its id")
        ids.add(panel["id"])
        if grid["w"] < 1 or grid["h"] < 1 or grid["x"] < 0 or grid["x"] + grid["w"] > 24:
            fault(f"{where}: it does not fit into the grid, which is 24 wide")
        columns, rows = range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])
        cells = {(x, y) for x in columns for y in rows}
        for covered in sorted({taken[cell] for cell in cells if cell in taken}):
            fault(f"{where}: it covers {covered}")
        taken.update(dict.fromkeys(cells, panel["title"]))
        references = [target["refId"] for target in panel["targets"]]
        if len(set(references)) != len(references):
            fault(f"{where}: two of its queries have one refId")
        for part in [panel, *panel["targets"]]:
            if part["datasource"] != {"type": "prometheus", "uid": "${datasource}"}:
                fault(f"{where}: it does not ask the data source that is chosen")


def main():
    yaml, kubernetes_validate, grafana = tools()
    counted = [check_kubernetes(yaml, kubernetes_validate), check_compose(yaml), check_units()]
    counted.append(check_dashboards(grafana))
    if faults:
        sys.exit(1)
    print("check-deploy: {} manifests, {} services, {} units and {} dashboards are in order".format(*counted))


if __name__ == "__main__":
    main()
