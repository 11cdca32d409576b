# Rendered by gnoppix-build: profile golden, component llama-cpp.
# A login on a console has no environment.d: it reads the same file here.
set -a
. /etc/environment.d/60-gnoppix-llama-cpp.conf
set +a
