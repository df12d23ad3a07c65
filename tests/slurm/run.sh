#!/usr/bin/env bash
# A run in 8 tasks of a real Slurm on this machine: one task is killed with -9 and the run submitted
# again, one is told to stop and requeues itself. What is merged has the bytes of a single process's.
#
#   bash tests/slurm/run.sh [build/longshadow]
#   bash tests/slurm/run.sh --install           first fetch Slurm's packages (Debian; as root)
#
# Without Slurm, or not as root (slurmd, munge), it says so and skips.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if [[ ${1:-} == --install ]]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq --yes --no-install-recommends slurmctld slurmd slurm-client munge
  shift
fi
if ! command -v slurmctld slurmd sbatch munged >/dev/null || [[ $(id -u) != 0 ]]; then
  echo "skipped: expected slurmctld, slurmd, sbatch and munged, and to be root;" \
    "bash tests/slurm/run.sh --install fetches them"
  exit 77 # ctest counts it as a skip
fi

program=$(realpath "${1:-build/longshadow}")
work=$(mktemp -d)
export SLURM_CONF=$work/slurm.conf
daemons=()

stop() {
  local status=$?
  if [[ $status != 0 ]]; then tail -n 30 "$work"/*.log "$work"/*.logs/* >&2 || true; fi
  [[ ${#daemons[@]} == 0 ]] || kill "${daemons[@]}" 2>/dev/null || true
  wait
  rm -rf "$work"
  exit "$status"
}
trap stop EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

wait_for() {  # SECONDS COMMAND...
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if ((SECONDS > end)); then
      echo "run.sh: still waiting for: $*" >&2
      return 1
    fi
    sleep 0.2
  done
}

start_slurm() {
  local host
  host=$(hostname -s)
  mkdir -p "$work/munge" "$work/state" "$work/spool"
  chown munge "$work/munge"
  chmod 755 "$work" "$work/munge"
  dd if=/dev/urandom of="$work/munge/key" bs=128 count=1 status=none
  chown munge "$work/munge/key"
  chmod 400 "$work/munge/key"
  cat >"$SLURM_CONF" <<END
ClusterName=ci
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
KillWait=5
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=500 State=UNKNOWN
PartitionName=ci Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
END
  runuser -u munge -- /usr/sbin/munged --foreground --key-file "$work/munge/key" \
    --socket "$work/munge/socket" --pid-file "$work/munge/pid" --log-file "$work/munge/log" \
    --seed-file "$work/munge/seed" >"$work/munged.err.log" 2>&1 &
  daemons+=($!)
  wait_for 10 test -S "$work/munge/socket"
  slurmctld -D -f "$SLURM_CONF" 2>"$work/slurmctld.err.log" &
  daemons+=($!)
  slurmd -D -f "$SLURM_CONF" 2>"$work/slurmd.err.log" &
  daemons+=($!)
  wait_for 30 node_is_idle
}

node_is_idle() {
  [[ $(sinfo --noheader --format %T 2>/dev/null) == idle ]]
}

queue_is_empty() {
  # A task that requeued itself would wait for two minutes before it may start.
  local job
  for job in $(squeue --noheader --array --states PENDING --format %A 2>/dev/null); do
    scontrol update "JobId=$job" StartTime=now 2>/dev/null || true
  done
  [[ -z $(squeue --noheader 2>/dev/null) ]]
}

# The program, but for shard 3 of 8 the first time: that is killed with its batch shell once it has
# begun; and for shard 6, which the first time has its batch shell told that time is up.
write_saboteur() {
  cat >"$work/saboteur" <<END
#!/usr/bin/env bash
begun() { ls "$work"/run.h5.parts/*-d000?.h5 >/dev/null 2>&1; }
case " \$* " in
  *" 3/8 "*) mkdir "$work/killed" 2>/dev/null && sabotage=KILL ;;
  *" 6/8 "*) mkdir "$work/stopped" 2>/dev/null && sabotage=TERM ;;
esac
if [[ -z \${sabotage:-} ]]; then exec "$program" "\$@"; fi
if [[ \$sabotage == TERM ]]; then
  (sleep 0.05; kill -TERM \$PPID) &
  exec "$program" "\$@"
fi
"$program" "\$@" &
until begun; do sleep 0.01; done
kill -KILL \$! \$PPID
kill -KILL \$\$
END
  chmod +x "$work/saboteur"
}

submit() {
  LONGSHADOW=$work/saboteur bash probes/slurm/submit.sh 8 "$work/run.h5" -- "${command[@]}"
  wait_for 120 queue_is_empty
}

models=$PWD/data/fixtures/models
for name in one two three four; do cp "$models/document.txt" "$work/$name.txt"; done
command=(probe --model "$models/llama_plain.gguf"
  --document "$work"/one.txt "$work"/two.txt "$work"/three.txt "$work"/four.txt
  --context 150 --future 100 --subjects all+sample:100 --evict-at end --precision f64
  --progress plain)

"$program" "${command[@]}" --output "$work/single.h5"
start_slurm
write_saboteur

submit
if [[ -e $work/run.h5 ]]; then
  echo "run.sh: expected no file where a part is missing, found $work/run.h5" >&2
  exit 1
fi
grep -h "cannot merge" "$work"/run.h5.logs/*_merge.log
[[ -d $work/killed && -d $work/stopped ]]
grep -h "goes on in the queue" "$work"/run.h5.logs/*_6.log

submit
cmp "$work/single.h5" "$work/run.h5"
echo "8 tasks, one killed and one requeued, merged to the $(stat -c %s "$work/run.h5") bytes of one"
