#!/usr/bin/env bash
# One task of the array that submit.sh submits: task.sh PROGRAM TASKS DIRECTORY COMMAND [OPTION...]
set -uo pipefail

program=$1
tasks=$2
directory=$3
shift 3

"$program" "$@" --threads "${SLURM_CPUS_PER_TASK:-1}" --output "$directory" \
  --shard "$SLURM_ARRAY_TASK_ID/$tasks" &
child=$!

# Slurm signals this shell a minute before the time limit; the program then saves the batch in hand
# and exits with 143. It is waited for twice because a signal ends the first wait.
stopped=no
trap 'stopped=yes; kill -TERM "$child" 2>/dev/null' TERM
wait "$child"
status=$?
if [[ $stopped == yes ]]; then
  wait "$child"
  status=$?
fi

if [[ $status == 143 ]]; then
  echo "task.sh: out of time; task $SLURM_ARRAY_TASK_ID goes on in the queue"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
