#!/usr/bin/env bash
# Measures one run in many Slurm tasks; --help says how.
set -euo pipefail

print_help() {
  cat <<'END'
Usage: bash probes/slurm/submit.sh TASKS RUN.h5 [SBATCH_OPTION...] -- probe|retain [OPTION...]

Submits a job array of TASKS tasks, each of which measures one part of the run into the directory
RUN.h5.parts (longshadow --shard I/TASKS), and a job behind it that merges them into RUN.h5.

  bash probes/slurm/submit.sh 64 run.h5 --time 2:00:00 --cpus-per-task 8 --mem 8G -- \
    probe --document texts/*.txt --context 4096 --future 512 --subjects all

- The command's options are those of `longshadow probe` or `retain`, without --output, --shard and
  --threads: a task has as many threads as it has CPUs (--cpus-per-task, else 1).
- The command is checked before anything is submitted (its --dry-run): an option, a model or a
  document that is not right ends submit.sh with the program's line and its exit status.
- The folder of RUN.h5 is one that all nodes share, as are the model and the documents.
- Everything goes on: the same submit.sh command, given again at any time, measures what is missing
  and nothing else. A task that Slurm requeues (a node failed, a job of higher priority came) does
  so as well. A task at its time limit saves what it has and requeues itself, so the limit may be
  far shorter than the work. A task that was killed outright is not requeued: give the command
  again. Whether a part is done is never a job's state, but a file in RUN.h5.parts.
- How far the run is: longshadow analyze RUN.h5.parts, which shows what is measured by then. If
  parts are missing when all tasks have ended, the merge job's log names them and the job fails.
- All nodes have processors of one kind (--constraint), because floating-point sums round as a
  processor's vector units order them. Two kinds that measure the same part are found out and refused.
- A log for each task, and the merge job's, lie in RUN.h5.logs.

How many tasks: a part is measured in one go by one task, and holds 16,384 positions, that is 64
subjects of --future 256; so a document of --subjects all --context 4096 has 64 parts. More tasks
than parts find nothing to do and end at once. Every task loads the model and reads, once, each
document it has a part of: a few seconds to minutes that a hundred parts a task make small.
     1 task     no array is needed, but requeueing is at hand: work longer than a time limit
    10 tasks    a few nodes; wall time falls tenfold
   100 tasks    keep two parts or more for each: 200 parts are 10 documents of 1,300 subjects
 1,000 tasks    the largest index that Slurm's default MaxArraySize (1001) allows. An array limit
                spares the scheduler and the file system: --array takes it, as in
                SUBMIT_AT_ONCE=100 for at most 100 tasks at a time

Environment: LONGSHADOW, the program (else build/longshadow of this checkout); SUBMIT_AT_ONCE, how
many tasks may run at once (else all).
END
}

fail() {
  echo "submit.sh: $1" >&2
  exit 2
}

if [[ ${1:-} == --help || ${1:-} == -h || $# == 0 ]]; then
  print_help
  exit 0
fi
[[ $# -ge 4 && $1 =~ ^[1-9][0-9]*$ ]] || fail "expected TASKS RUN.h5 ... -- COMMAND ...; see --help"
tasks=$1
run=$(realpath --no-symlinks "$2")
shift 2

sbatch_options=()
while [[ $# -gt 0 && $1 != -- ]]; do
  sbatch_options+=("$1")
  shift
done
[[ $# -ge 2 ]] || fail "expected -- and a longshadow command, as in -- probe --document a.txt"
shift

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
program=$(realpath "${LONGSHADOW:-$here/../../build/longshadow}")
[[ -x $program ]] || fail "$program: expected the program; build it, or name it in LONGSHADOW"

# A mistyped option or a missing file ends here, and not in every task. The options are a task's.
"$program" "$@" --threads 1 --output "$run.parts" --shard "1/$tasks" --dry-run

logs=$run.logs
mkdir -p "$logs"
array=1-$tasks${SUBMIT_AT_ONCE:+%$SUBMIT_AT_ONCE}
job=$(sbatch --parsable --job-name longshadow --array "$array" --requeue --open-mode append \
  --signal B:TERM@60 --output "$logs/%A_%a.log" "${sbatch_options[@]}" \
  "$here/task.sh" "$program" "$tasks" "$run.parts" "$@")
job=${job%%;*}
# Whatever became of the tasks: the merge says what is missing, a dependency on success would wait
# for ever.
merge=$(sbatch --parsable --job-name longshadow-merge --dependency "afterany:$job" \
  --output "$logs/%j_merge.log" "${sbatch_options[@]}" \
  --wrap "$(printf '%q ' "$program" merge "$run.parts" --output "$run")")
echo "array job $job of $tasks tasks, merge job ${merge%%;*}; logs in $logs"
