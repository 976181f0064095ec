#!/usr/bin/env bash
# Makes a throw-away machine (a container, as root) a SLURM cluster of its own with two nodes, without accounting, on
# which tests/cohort/test_slurm.py runs:
#     apt-get install -y --no-install-recommends slurm-wlm munge && bash tests/cohort/one_node_slurm.sh
# It writes /etc/slurm/slurm.conf: not for a machine that belongs to a cluster.
set -euo pipefail
[ ! -e /etc/slurm/slurm.conf ] || { echo "/etc/slurm/slurm.conf is there already: nothing was changed" >&2; exit 1; }
host=$(hostname -s) cpus=$(nproc) memory=$(awk '/MemTotal/ {print int($2 / 2048)}' /proc/meminfo)
mkdir -p /etc/slurm /var/spool/slurmctld /var/log/slurm /run/munge /var/log/munge
cat > /etc/slurm/slurm.conf <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd.%n
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.%n.pid
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=20
KillWait=10
NodeName=n[1-2] NodeHostname=$host NodeAddr=127.0.0.1 Port=[17001-17002] CPUs=$cpus RealMemory=$memory State=UNKNOWN
PartitionName=short Nodes=n[1-2] MaxTime=02:00:00 State=UP
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP
END
[ -e /etc/munge/munge.key ] || (umask 077 && head -c 128 /dev/urandom > /etc/munge/munge.key)
chown -R munge: /run/munge /var/log/munge /var/lib/munge /etc/munge
munge -n > /dev/null 2>&1 || su -s /bin/bash munge -c /usr/sbin/munged
slurmctld && slurmd -N n1 && slurmd -N n2
for _ in $(seq 20); do sinfo -h -t idle -o '%D' | grep -q 2 && break; sleep 1; done
sinfo
