#!/usr/bin/env bash
# One would guess that a dry run shows the jobs that the same command without -n submits. Snakemake's scales each job's
# threads down to --cores, which is 1 where it is not given, also for an executor that submits to a cluster, to which it
# does not apply: of a rule with eight threads the dry run says nothing of threads, which means one, and the job that is
# then submitted to Slurm asks for --cpus-per-task=8. With --cores 8 the dry run says "threads: 8".
# Versions: snakemake 9.27.1, snakemake-executor-plugin-slurm 2.8.0. No Slurm is needed: its programs are stand-ins that
# note how they were called.
# It matters to whoever checks by a dry run what a cluster will be asked for: give --cores there.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet snakemake==9.27.1 snakemake-executor-plugin-slurm==2.8.0
cd "$dir"
cat > Snakefile <<'END'
rule all:
    output: "done"
    threads: 8
    shell: "touch {output}"
END
mkdir stand-in
for name in sinfo sacct squeue scontrol scancel; do printf '#!/bin/bash\n' > stand-in/$name; done
printf '#!/bin/bash\necho lab\n' > stand-in/sacctmgr
printf '#!/bin/bash\necho "$@" > "%s/said"\nexit 1\n' "$dir" > stand-in/sbatch
chmod +x stand-in/*
export PATH="$dir/stand-in:$dir/venv/bin:$PATH" HOME="$dir"
options=(--executor slurm --jobs 2 --default-resources slurm_account=lab slurm_partition=p runtime=5 mem_mb=100)
"$dir/venv/bin/pip" list 2> /dev/null | grep -E '^snakemake(-executor-plugin-slurm)? '
snakemake "${options[@]}" -n > dry 2>&1
echo "dry run: $(grep -c 'threads: 8' dry || true) lines say eight threads"
snakemake "${options[@]}" --cores 8 -n > dry-cores 2>&1
echo "dry run with --cores 8: $(grep -c 'threads: 8' dry-cores || true)"
snakemake "${options[@]}" > real 2>&1 || true  # the stand-in refuses
echo "submitted: $(grep -o -e '--cpus-per-task=[0-9]*' said)"
! grep -q 'threads: 8' dry || { echo "changed: the dry run"; exit 1; }
grep -q 'threads: 8' dry-cores || { echo "changed: the dry run with --cores"; exit 1; }
grep -q -e '--cpus-per-task=8' said || { echo "changed: what is submitted"; exit 1; }
echo "as described: the dry run shows one thread, the job has eight"
