#!/bin/bash
# Is the daemon of this container ready? Asks its private listener; needs nothing but bash.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/${WABRIDGE_HEALTH_PORT:-8471}"
printf 'GET /health/ready HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
read -rt 4 answer <&3
[[ $answer == "HTTP/1."?" 200 "* ]]
