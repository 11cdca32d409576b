# Rendered by gnoppix-build: profile golden, component ask.
# A login on a console has no environment.d: it reads the same file here.
set -a
. /etc/environment.d/60-gnoppix-ask.conf
set +a
