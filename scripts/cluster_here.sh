#!/bin/sh
# A real Slurm or Ray of two nodes, n1 and n2, on this machine: to try them out and to test against.
#
#   scripts/cluster_here.sh up slurm|ray DIR     start it; prints the variable by which its commands find it
#   scripts/cluster_here.sh kill DIR NODE        the node dies with all that runs on it
#   scripts/cluster_here.sh revive DIR NODE      it comes back, empty
#   scripts/cluster_here.sh forget DIR           the scheduler dies with its database; another one begins with none
#   scripts/cluster_here.sh down DIR             end everything and remove DIR
#
# A node is a namespace of processes with a host name of its own, so that it dies as a machine does, all at once. That
# needs Linux and root. Slurm's daemons, its key and its files lie in DIR and nothing of the machine's own is touched,
# but for Debian's packages slurm-wlm and munge, which are installed if they are missing. Ray is that of $PYTHON.
set -eu
PATH=$PATH:/usr/sbin:/sbin  # where Debian keeps daemons, and not on everybody's path
PYTHON=${PYTHON:-$(dirname "$0")/../.venv/bin/python}

fail() { echo "$*" >&2; exit 1; }
usage() { sed -n '4,8s/^# *//p' "$0" >&2; exit 2; }

# Start a command of which DIR/NAME.pid is the process: `isolated NAME COMMAND...` as a node of that name, and
# `daemon NAME COMMAND...` as it is.
daemon() {
    name=$1
    shift
    setsid "$@" </dev/null >"$DIR/log/$name" 2>&1 &
    echo $! > "$DIR/$name.pid"
}
# The shell is the namespace's first process: it takes up the orphans, and they end with it.
isolated() {
    daemon "$1" unshare --pid --fork --kill-child --mount-proc --uts \
        sh -c 'hostname "$0"; "$@" & wait' "$@"
}
end() {
    [ -f "$DIR/$1.pid" ] || return 0
    pid=$(cat "$DIR/$1.pid")
    # The children first: a node's first process ends after all the others, and then it is over.
    for one in $(cat "/proc/$pid/task/$pid/children" 2>/dev/null) "$pid"; do
        kill -KILL "$one" 2>/dev/null || true
        until ended "$one"; do sleep 0.1; done
    done
    rm "$DIR/$1.pid"
}
ended() { ! [ -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
# Wait for up to two minutes: `until_true SENTENCE COMMAND...`.
until_true() {
    said=$1 deadline=$(($(date +%s) + 120))
    shift
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || fail "After two minutes $said. What the daemons said is in $DIR/log."
        sleep 0.2
    done
}

# ---- Slurm
slurm_require() {
    if ! command -v slurmctld >/dev/null || ! command -v munged >/dev/null; then
        command -v apt-get >/dev/null || fail "slurmctld or munged is missing: install Slurm and munge."
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            slurm-wlm munge; } >/dev/null || fail "apt-get could not install slurm-wlm and munge."
    fi
}
slurm_configure() {
    mkdir "$DIR/state"
    head -c 1024 /dev/urandom > "$DIR/munge.key"
    chmod 600 "$DIR/munge.key"
    cat > "$DIR/slurm.conf" <<END
ClusterName=here
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$PORT
AuthType=auth/munge
AuthInfo=socket=$DIR/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool-%n
SlurmctldPidFile=$DIR/slurmctld.own.pid
SlurmdPidFile=$DIR/%n.own.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=10
KillWait=5
SchedulerParameters=sched_interval=2,batch_sched_delay=1
NodeName=n1 NodeAddr=127.0.0.1 Port=$((PORT + 1)) CPUs=1 RealMemory=4000
NodeName=n2 NodeAddr=127.0.0.1 Port=$((PORT + 2)) CPUs=1 RealMemory=4000
PartitionName=here Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
END
}
slurm_scheduler() {
    daemon slurmctld slurmctld -D -f "$DIR/slurm.conf"
    until_true "Slurm's controller does not answer" sinfo_answers
}
slurm_node() {
    mkdir -p "$DIR/spool-$1"
    isolated "$1" slurmd -D -N "$1" -f "$DIR/slurm.conf"
    until_true "node $1 is not idle" slurm_is_idle "$1"
}
sinfo_answers() { sinfo >/dev/null 2>&1; }
slurm_is_idle() { [ "$(sinfo --noheader --nodes "$1" --format %T 2>/dev/null)" = idle ]; }
slurm_up() {
    daemon munged munged --foreground --force --key-file "$DIR/munge.key" --socket "$DIR/munge.socket" \
        --pid-file "$DIR/munged.own.pid" --log-file "$DIR/log/munged" --seed-file "$DIR/munge.seed"
    until_true "there is no munge" test -S "$DIR/munge.socket"
    slurm_scheduler
    slurm_node n1
    slurm_node n2
    echo "export SLURM_CONF=$DIR/slurm.conf"
}
slurm_forget() {
    end slurmctld
    rm -r "$DIR/state"
    mkdir "$DIR/state"
    slurm_scheduler
    until_true "node n1 is not idle" slurm_is_idle n1
    until_true "node n2 is not idle" slurm_is_idle n2
}

# ---- Ray: n1 is the head, which holds Ray's database
ray_require() {
    "$PYTHON" -c 'import ray' 2>/dev/null || fail "$PYTHON has no ray: make setup EXTRAS=dev,ray, or name another PYTHON."
}
ray_configure() { (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$DIR/token"); }
ray_node() {
    where="--address 127.0.0.11:$PORT --node-ip-address 127.0.0.12"
    [ "$1" = n2 ] || where="--head --port $PORT --node-ip-address 127.0.0.11 --include-dashboard false --temp-dir $DIR/ray"
    # shellcheck disable=SC2086  (a list of options)
    isolated "$1" "$PYTHON" -m ray.scripts.scripts start $where --num-cpus 1 --object-store-memory 80000000 \
        --disable-usage-stats --block
    until_true "node $1 of Ray is not there" ray_has "$1"
}
ray_has() { grep -q 'Ray runtime started' "$DIR/log/$1" && ! ended "$(cat "$DIR/$1.pid")"; }
ray_up() {
    ray_node n1
    ray_node n2
    echo "export RAY_ADDRESS=127.0.0.11:$PORT RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$DIR/token"
}
ray_forget() {
    end n1
    end n2
    rm -r "$DIR/ray"
    ray_up >/dev/null
}

# ---- What is asked for
[ $# -ge 2 ] || usage
ask=$1
shift
if [ "$ask" = up ]; then
    [ $# = 2 ] || usage
    KIND=$1 DIR=$2
    case $KIND in slurm | ray) ;; *) usage ;; esac
    [ "$(id -u)" = 0 ] || fail "Nodes are namespaces of processes, which need root."
    unshare --pid --fork --mount-proc --uts true 2>/dev/null || fail "This system permits no namespaces of processes."
    [ ! -e "$DIR" ] || fail "$DIR is there already. End what runs in it: $0 down $DIR"
    "${KIND}_require"
    mkdir -p "$DIR/log"
    DIR=$(cd "$DIR" && pwd)
    chmod 755 "$DIR"
    PORT=$((20000 + $$ * 3 % 12000))
    echo "KIND=$KIND PORT=$PORT" > "$DIR/cluster"
else
    DIR=$(cd "$1" 2>/dev/null && pwd) && [ -f "$DIR/cluster" ] || fail "There is no cluster in $1."
    . "$DIR/cluster"
fi
export SLURM_CONF="$DIR/slurm.conf" RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH="$DIR/token"
case "$ask $#" in
    "up 2") "${KIND}_configure" && "${KIND}_up" ;;
    "kill 2") end "$2" ;;
    "revive 2") end "$2" && "${KIND}_node" "$2" ;;
    "forget 1") "${KIND}_forget" ;;
    "down 1")
        for file in "$DIR"/n?.pid "$DIR"/slurmctld.pid "$DIR"/munged.pid; do end "$(basename "$file" .pid)"; done
        rm -r "$DIR" ;;
    *) usage ;;
esac
