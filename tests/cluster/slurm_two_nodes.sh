#!/bin/bash
# A SLURM of two nodes, n1 in the partition `new` and n2 in `old`, on this one Debian machine; as root.
#
#     tests/cluster/slurm_two_nodes.sh start DIR     then: srun, sbatch, sinfo as usual
#     tests/cluster/slurm_two_nodes.sh stop DIR
#
# Needs the packages slurm-wlm and munge. It writes /etc/slurm/slurm.conf, and n1 and n2 into /etc/hosts.
set -euo pipefail

action=$1
mkdir -p "$2"
dir=$(realpath "$2")

stop() {
    for name in slurmd-n1 slurmd-n2 slurmctld; do
        [ -f "$dir/$name.pid" ] && kill "$(cat "$dir/$name.pid")" || true
    done
    if [ -e "$dir/own-munge" ]; then pkill -u munge munged; fi
}

start_munge() {
    mkdir -p /run/munge /etc/munge /var/log/munge
    [ -f /etc/munge/munge.key ] || dd if=/dev/urandom of=/etc/munge/munge.key bs=1024 count=1 status=none
    chown munge /etc/munge/munge.key /run/munge /var/log/munge
    chmod 400 /etc/munge/munge.key
    munge -n > /dev/null 2>&1 || { su munge -s /bin/sh -c munged && touch "$dir/own-munge"; }
}

write_configuration() {
    if [ -e /etc/slurm/slurm.conf ] && ! grep -qx ClusterName=two /etc/slurm/slurm.conf; then
        echo "/etc/slurm/slurm.conf is there already and is not of this script" >&2
        exit 1
    fi
    mkdir -p "$dir/state" /etc/slurm
    cat > /etc/slurm/slurm.conf <<END
ClusterName=two
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool-%n
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd-%n.log
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
ReturnToService=2
NodeName=n1 NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) Port=17001 CPUs=4 RealMemory=1000
NodeName=n2 NodeAddr=127.0.0.1 NodeHostname=$(hostname -s) Port=17002 CPUs=4 RealMemory=1000
SlurmdParameters=config_overrides
PartitionName=new Nodes=n1 Default=YES MaxTime=INFINITE State=UP OverSubscribe=FORCE
PartitionName=old Nodes=n2 MaxTime=INFINITE State=UP OverSubscribe=FORCE
PartitionName=all Nodes=n1,n2 MaxTime=INFINITE State=UP OverSubscribe=FORCE
END
    mkdir -p "$dir/spool-n1" "$dir/spool-n2"
    grep -qw n1 /etc/hosts || echo '127.0.0.1 n1 n2' >> /etc/hosts
}

if [ "$action" = stop ]; then
    stop
    exit
fi
start_munge
write_configuration
slurmctld
sleep 1
slurmd -N n1
slurmd -N n2
for _ in $(seq 30); do
    [ "$(sinfo -h -p all -t idle -o %D)" = 2 ] && exit
    sleep 0.5
done
sinfo
exit 1
