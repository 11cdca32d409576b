# SPDX-License-Identifier: GPL-3.0-or-later
# A login on a console has no environment.d: it reads the same file here.
set -a
. /etc/environment.d/50-gnoppix-telemetry-off.conf
set +a
