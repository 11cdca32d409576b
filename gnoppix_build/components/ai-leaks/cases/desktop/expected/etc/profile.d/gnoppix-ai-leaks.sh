# Rendered by gnoppix-build: profile golden, component ai-leaks.
set -a
. /etc/environment.d/60-gnoppix-ai-leaks.conf
set +a
