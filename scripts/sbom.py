#!/usr/bin/env python3
"""Writes the software bill of materials of the `tasker` binary to standard output: CycloneDX 1.5, JSON.

It lists the packages that are compiled into the binary, by `cargo metadata`, with the checksums of
Cargo.lock. The same sources give the same text: it holds no time and no random number.
"""

import hashlib
import json
import os
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = "tasker-cli"
TARGET = os.environ.get("SBOM_TARGET", "x86_64-unknown-linux-gnu")


def metadata():
    command = [os.environ.get("CARGO", "cargo"), "metadata", "--locked", "--format-version", "1"]
    command += ["--filter-platform", TARGET]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)


def compiled_in(data):
    """The ids of the packages that the binary is made of, each with what it depends on."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = next(p["id"] for p in data["packages"] if p["name"] == BINARY)
    found, waiting = {}, [root]
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        normal = [
            dependency["pkg"]
            for dependency in nodes[package]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
        found[package] = normal
        waiting += normal
    return root, found


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, checksums):
    described = {
        "type": "application" if package["name"] == BINARY else "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package.get("description"):
        described["description"] = " ".join(package["description"].split())
    if package.get("license"):
        # Some old packages separate alternatives by a slash.
        expression = " OR ".join(package["license"].split("/")) if "/" in package["license"] else package["license"]
        described["licenses"] = [{"expression": expression}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        described["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return described


def main():
    data = metadata()
    lock = (ROOT / "Cargo.lock").read_text()
    locked = tomllib.loads(lock)["package"]
    checksums = {(p["name"], p["version"]): p.get("checksum") for p in locked}
    packages = {package["id"]: package for package in data["packages"]}
    root, found = compiled_in(data)
    listed = sorted((packages[i] for i in found if i != root), key=lambda p: (p["name"], p["version"]))
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(lock.encode()).digest()[:16], version=4)}",
        "version": 1,
        "metadata": {"component": component(packages[root], checksums)},
        "components": [component(package, checksums) for package in listed],
        "dependencies": [
            {
                "ref": reference(packages[i]),
                "dependsOn": sorted({reference(packages[d]) for d in found[i]}),
            }
            for i in sorted(found, key=lambda i: reference(packages[i]))
        ],
    }
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
