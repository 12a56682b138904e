#!/bin/bash
# Stands where suites expect ZooKeeper's bin/zkServer.sh.
case $1 in
  start-foreground)
    for word in ${SERVER_JVMFLAGS:-} ${JVMFLAGS:-}; do case $word in -D*) ZK_JVM_PROPS+="${word#-D}"$'\n' ;; esac; done
    export ZK_JVM_PROPS; exec "$SERVER" "$2" ;;
  *) echo "zkServer.sh: only start-foreground is known here, not $1" >&2; exit 2 ;;
esac
