#!/usr/bin/env bash
# Runs the production fleet as containers: builds the image, starts deploy/docker-compose.production.yml
# with a PostgreSQL, runs 5,000 tasks through the API, kills two orchestrators and two workers meanwhile,
# and checks that nothing is lost. Ends everything that it started, also on Ctrl-C; the image of Debian's
# packages that it makes where no other is named stays for the next run.
#
#   TASKER_BINARY   what to put into the image; target/debug/tasker where it is not set
#   FROM_SOURCE=1   build the image from source instead, as deploy/Dockerfile does by default
#   RUST_IMAGE, DEBIAN_IMAGE, POSTGRES_IMAGE   images to use instead of those made here
#   TASKS           how many tasks (5000)
#   KEEP=1          leave the fleet running at the end, and say how to end it
set -euo pipefail
cd "$(dirname "$0")/.."

readonly tasks=${TASKS:-5000} project=tasker-test-$$ made_image=localhost/tasker-test-debian
readonly image=localhost/tasker-test:$$ postgres_image=localhost/tasker-test-postgres:$$
scratch=$(mktemp -d)
readonly scratch

say() { printf 'test-deploy: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
skip() { say "$*; the deployment is not tested"; rm -rf "$scratch"; exit 0; }

command -v podman >/dev/null || skip 'podman is missing'
command -v podman-compose >/dev/null || skip 'podman-compose is missing'
command -v curl >/dev/null || skip 'curl is missing'
command -v python3 >/dev/null || skip 'python3 is missing'

compose() {
  podman-compose --project-name "$project" --file deploy/docker-compose.production.yml \
    --file deploy/docker-compose.postgresql.yml "$@" >>"$scratch/compose.log" 2>&1
}

# shellcheck disable=SC2317 # called by the trap
finish() {
  local status=$?
  trap - EXIT INT TERM
  if ((status != 0 && status < 128)) && [[ -s $scratch/compose.log ]]; then
    tail -n 20 "$scratch/compose.log" >&2
    for container in $(podman ps --all --quiet --filter "label=io.podman.compose.project=$project"); do
      podman logs --tail 3 "$container" 2>&1 | sed "s/^/$container: /" >&2
    done
  fi
  if [[ ${KEEP:-} ]] && ((status == 0)); then
    say "the fleet runs on: podman ps --filter label=io.podman.compose.project=$project"
    say 'to end it:'
    say "  podman rm --force \$(podman ps -aq --filter label=io.podman.compose.project=$project)"
    say "  podman volume rm ${project}_postgres; podman network rm ${project}_default"
  else
    # All at once; podman-compose stops one after the other, and takes as long as it took to start them.
    podman ps --all --quiet --filter "label=io.podman.compose.project=$project" |
      xargs --no-run-if-empty podman rm --force --time 0 >/dev/null 2>&1 || true
    podman pod rm --force "pod_$project" >/dev/null 2>&1 || true
    podman volume rm "${project}_postgres" >/dev/null 2>&1 || true
    podman network rm "${project}_default" >/dev/null 2>&1 || true
    podman image rm --force "$image" "$postgres_image" >/dev/null 2>&1 || true
  fi
  rm -rf "$scratch"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- images --------------------------------------------------------------------------------------

# A Debian with PostgreSQL, from packages: no registry is asked.
make_debian_image() {
  podman image exists "$made_image" && return 0
  command -v debootstrap >/dev/null && ((EUID == 0)) || return 1
  say "making $made_image with debootstrap …"
  local release
  # shellcheck source=/dev/null
  release=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
  debootstrap --variant=minbase --include=postgresql "$release" "$scratch/debian" >"$scratch/debootstrap.log" 2>&1 ||
    { tail -n 5 "$scratch/debootstrap.log" >&2; return 1; }
  rm -rf "$scratch"/debian/usr/share/{doc,man,locale}/* "$scratch"/debian/var/cache/apt/archives/*.deb
  tar --create --directory "$scratch/debian" . | podman import --quiet - "$made_image" >/dev/null
  rm -rf "$scratch/debian"
}

# Some machines need another runtime, and limits that they allow; podman takes both from this file.
find_runtime() {
  local runtime
  for runtime in '' crun runc; do
    {
      [[ -z $runtime ]] || printf '[engine]\nruntime = "%s"\n' "$runtime"
      [[ -z $runtime ]] || printf '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]\n'
    } >"$scratch/containers.conf"
    export CONTAINERS_CONF=$scratch/containers.conf
    podman run --rm --network none "$1" true >/dev/null 2>"$scratch/runtime.log" && return 0
  done
  tail -n 3 "$scratch/runtime.log" >&2
  return 1
}

if [[ -z ${DEBIAN_IMAGE:-} || -z ${POSTGRES_IMAGE:-} ]]; then
  make_debian_image ||
    skip 'no image of Debian can be made here: set DEBIAN_IMAGE and POSTGRES_IMAGE, or be root with debootstrap'
fi
export DEBIAN_IMAGE=${DEBIAN_IMAGE:-$made_image}
find_runtime "$DEBIAN_IMAGE" || skip 'podman runs no container here'

build() { podman build --quiet --format docker "$@" . >/dev/null; }

commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
arguments=(--file deploy/Dockerfile --tag "$image" --build-arg "DEBIAN_IMAGE=$DEBIAN_IMAGE"
  --build-arg "TASKER_COMMIT=$commit" --build-arg "VERSION=$version")
if [[ ${FROM_SOURCE:-} ]]; then
  [[ -z ${RUST_IMAGE:-} ]] || arguments+=(--build-arg "RUST_IMAGE=$RUST_IMAGE")
else
  binary=${TASKER_BINARY:-target/debug/tasker}
  [[ -x $binary ]] || fail "$binary is missing; build it, or name another with TASKER_BINARY"
  mkdir -p target/image
  strip -o target/image/tasker "$binary" 2>/dev/null || cp "$binary" target/image/tasker
  [[ target/image/sbom.cdx.json -nt Cargo.lock ]] || scripts/sbom.py >target/image/sbom.cdx.json
  arguments+=(--target from-binary --build-arg "RUST_IMAGE=$DEBIAN_IMAGE")
fi
build "${arguments[@]}"
if [[ -z ${POSTGRES_IMAGE:-} ]]; then
  build --file deploy/test/postgres.Dockerfile --tag "$postgres_image" --build-arg "DEBIAN_IMAGE=$DEBIAN_IMAGE"
fi

inspect() { podman image inspect --format "$1" "$image"; }
label() { inspect "{{index .Labels \"org.opencontainers.image.$1\"}}"; }

megabytes=$(($(inspect '{{.Size}}') / 1000000))
say "the image has $megabytes MB"
# With what debuggers need it is larger.
[[ ${binary:-} == *debug/tasker ]] || ((megabytes < 40)) || fail 'that is more than 40'
[[ $(inspect '{{.User}}') == 10001:10001 ]] || fail "the image runs as '$(inspect '{{.User}}')', not as 10001:10001"
[[ $(inspect '{{.HealthCheck}}') == *'/usr/bin/tasker health'* ]] || fail 'the image has no health check'
[[ $(label version) == "$version" && $(label revision) == "$commit" && $(label licenses) ]] ||
  fail "the labels of the image are not those of $version ($commit)"
container=$(podman create "$image")
podman cp "$container:/usr/share/doc/tasker" "$scratch/doc"
podman rm "$container" >/dev/null
[[ -s $scratch/doc/LICENSE-MIT && -s $scratch/doc/LICENSE-APACHE ]] || fail 'the image lacks the licences'
python3 -c 'import json, sys; assert len(json.load(sys.stdin)["components"]) > 100' <"$scratch/doc/sbom.cdx.json" ||
  fail 'the image lacks the list of what is compiled in'

# --- the fleet -----------------------------------------------------------------------------------

export TASKER_IMAGE=$image POSTGRES_IMAGE=${POSTGRES_IMAGE:-$postgres_image} POSTGRES_PASSWORD=p-$RANDOM
export DATABASE_URL=postgres://tasker:$POSTGRES_PASSWORD@postgres:5432/tasker
# Steps that only the fallback worker takes are not waited for as long as in production.
export WORKER_POLL_INTERVAL_MS=${WORKER_POLL_INTERVAL_MS:-2000}
readonly processes=$((${ORCHESTRATORS_EVENT_DRIVEN:-5} + ${ORCHESTRATORS_POLLING:-2} +
  ${WORKERS_FULFILLMENT:-10} + ${WORKERS_POLLING:-1}))

sql() {
  podman exec "${project}_postgres_1" psql --no-psqlrc --quiet --tuples-only --no-align \
    --username tasker --dbname tasker --host /var/run/postgresql --command "$1"
}
tasker() { podman exec "${project}_orchestrator-polling_1" /usr/bin/tasker "$@"; }

# Waits until a statement says true, for as many seconds at most.
await() {
  local what=$1 seconds=$2 statement=$3 end=$((SECONDS + $2))
  until [[ $(sql "$statement" 2>/dev/null) == t ]]; do
    ((SECONDS < end)) || fail "waited ${seconds} s in vain: $what"
    sleep 0.5
  done
}
live="select count(*) = $processes from tasker.processes where last_seen_at > clock_timestamp() - interval '30 s'"

say "starting $processes processes …"
compose up --detach --no-build
await 'all processes have registered' 90 "$live"
names=$(sql "select count(distinct identity) from tasker.processes where identity !~ '[\$]'")
[[ $names == "$processes" ]] || fail "$processes processes have $names names: INSTANCE_ID is not expanded"

api=http://$(podman port "${project}_orchestrator-event-driven_1" 8080/tcp)
post() { curl --silent --show-error --fail-with-body --max-time 60 --output /dev/null "$@"; }

for namespace in fulfillment returns; do
  sed "s/^namespace: .*/namespace: $namespace/" examples/graphs/mixed.yaml |
    sed 's/builtin.noop/builtin.sleep, input: { ms: 20 }/' >"$scratch/template.yaml"
  post --header 'content-type: application/yaml' --data-binary "@$scratch/template.yaml" "$api/v1/templates"
done

# A batch of tasks as JSON, so many of a namespace.
batch() {
  python3 -c '
import json, sys
namespace, count = sys.argv[1], int(sys.argv[2])
print(json.dumps({"tasks": [{"namespace": namespace, "name": "mixed"}] * count}))' "$1" "$2"
}
submit() {
  batch "$1" "$2" | post --header 'content-type: application/json' --data-binary @- "$api/v1/tasks/batch"
}

# Ends the process of a container as a crash would; it is started again because of its restart policy.
crash() {
  local pid
  pid=$(podman inspect --format '{{.State.Pid}}' "$1")
  say "kill -9 of the process of ${1#"${project}_"}"
  kill -9 "$pid"
}

say "submitting $tasks tasks of seven steps …"
started=$SECONDS
returns=$((tasks / 20))
submit returns "$returns"
for ((sent = returns; sent < tasks; sent += part)); do
  part=$((tasks - sent < 500 ? tasks - sent : 500))
  submit fulfillment "$part"
  if ((sent < tasks / 3 && sent + part >= tasks / 3)); then
    crash "${project}_orchestrator-event-driven_2"
    crash "${project}_worker-fulfillment_3"
  fi
done
await 'a third of the tasks have ended' 120 "select count(*) >= $tasks / 3 from tasker.tasks where state = 'complete'"
crash "${project}_orchestrator-polling_2"
crash "${project}_worker-fulfillment_4"

# A process that is asked to stop ends what it has begun, as number 1 of its container too.
drained=${project}_worker-fulfillment_5
podman stop --time 45 "$drained" >/dev/null
status=$(podman inspect --format '{{.State.ExitCode}}' "$drained")
[[ $status == 0 ]] || fail "a worker that was stopped ended with status $status"
podman start "$drained" >/dev/null

await 'every task has ended' 240 "select count(*) = $tasks and bool_and(state = 'complete') from tasker.tasks"
say "$tasks tasks have ended after $((SECONDS - started)) s"
await 'all processes are back' 60 "$live"

# --- what has to hold ----------------------------------------------------------------------------

twice=$(sql "select count(*) from (select from tasker.step_transitions where to_state = 'complete'
  group by task_uuid, step_no having count(*) > 1) as twice")
[[ $twice == 0 ]] || fail "$twice steps completed more than once"
elsewhere=$(sql "select count(*) from tasker.steps join tasker.templates using (template_id)
  where namespace = 'returns' and worker not like 'worker-poll-%'")
[[ $elsewhere == 0 ]] || fail "steps of another namespace ran elsewhere than on the fallback worker: $elsewhere"
# The resolvers of some versions of podman leave a question unanswered now and then.
for attempt in 1 2 3; do
  tasker doctor >"$scratch/doctor.log" 2>&1 && break
  if ((attempt == 3)) || ! grep -q 'the database is unavailable' "$scratch/doctor.log"; then
    cat "$scratch/doctor.log" >&2
    fail 'the doctor has findings'
  fi
done
# A process that got no answer to its question for the server's address ends after 30 s, and is started once more.
for container in orchestrator-event-driven_2 orchestrator-polling_2 worker-fulfillment_3 worker-fulfillment_4; do
  deadline=$((SECONDS + 90))
  until podman healthcheck run "${project}_$container" >/dev/null 2>&1; do
    ((SECONDS < deadline)) || fail "$container is not healthy after its restart"
    sleep 1
  done
done
say "nothing is unprocessed, nothing was done twice; $(tasker --version), $SECONDS s in all"
