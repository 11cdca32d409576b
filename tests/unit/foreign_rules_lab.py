# SPDX-License-Identifier: GPL-3.0-or-later
"""A program: rules of another program admit everything and publish ports; who gets through?

Three network namespaces in a row: a stranger, the machine, and a container on it. Started in new
network, mount and PID namespaces with RULESET PASSWD as arguments; prints JSON.
"""

import json
import os
import subprocess
import sys
import time

# What a container engine writes to publish a port, and a table that accepts all it sees.
FOREIGN_RULES = """\
table ip engine {
    chain publish {
        type nat hook prerouting priority dstnat; policy accept;
        tcp dport 8080 dnat to 10.8.0.2:8080
    }
    chain forward { type filter hook forward priority filter - 10; policy accept; accept; }
}
table inet permissive {
    chain input { type filter hook input priority filter - 10; policy accept; accept; }
    chain output { type filter hook output priority filter - 10; policy accept; accept; }
}
"""
SERVER = """
import socket, sys
place = ("::", int(sys.argv[1]))
with socket.create_server(place, family=socket.AF_INET6, dualstack_ipv6=True) as server:
    while True:
        server.accept()[0].close()
"""
ASK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, check=True, input=text, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def join(name: str, machine_address: str, other_address: str) -> tuple[str, ...]:
    """Lay a cable to a new namespace; gives the command that runs something there."""
    holder = subprocess.Popen(("unshare", "-n", "sleep", "60"))
    time.sleep(0.3)
    there = ("nsenter", "-n", "-t", str(holder.pid))
    run("ip", "link", "add", name, "type", "veth", "peer", "name", "card", "netns", str(holder.pid))
    run("ip", "address", "add", f"{machine_address}/24", "dev", name)
    run("ip", "address", "add", f"{in_ipv6(machine_address)}/64", "dev", name, "nodad")
    run("ip", "link", "set", name, "up")
    run(*there, "ip", "address", "add", f"{other_address}/24", "dev", "card")
    run(*there, "ip", "address", "add", f"{in_ipv6(other_address)}/64", "dev", "card", "nodad")
    run(*there, "ip", "link", "set", "card", "up")
    run(*there, "ip", "route", "add", "default", "via", machine_address)
    return there


def in_ipv6(address: str) -> str:
    """Give an IPv6 address with the same numbers."""
    return f"fd00:{address.replace('.', ':', 2).replace('.', '::')}"


def ask_all(stranger: tuple[str, ...]) -> dict[str, str]:
    ask = (sys.executable, "-c", ASK)
    return {
        "stranger to the published port": run(*stranger, *ask, "10.9.0.2", "8080"),
        "stranger to the machine": run(*stranger, *ask, "10.9.0.2", "8000"),
        "machine to the stranger": run(*ask, "10.9.0.1", "8001"),
        "stranger to the machine by IPv6": run(*stranger, *ask, in_ipv6("10.9.0.2"), "8000"),
        "machine to the stranger by IPv6": run(*ask, in_ipv6("10.9.0.1"), "8001"),
    }


def main() -> None:
    ruleset, passwd = sys.argv[1:]
    run("mount", "--bind", passwd, "/etc/passwd")
    run("ip", "link", "set", "lo", "up")
    stranger = join("outside", "10.9.0.2", "10.9.0.1")
    container = join("inside", "10.8.0.1", "10.8.0.2")
    run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
    for there, port in ((container, "8080"), ((), "8000"), (stranger, "8001")):
        subprocess.Popen((*there, sys.executable, "-c", SERVER, port))
    time.sleep(0.5)
    run("nft", "-f", "-", text=FOREIGN_RULES)
    results = {"foreign rules alone": ask_all(stranger)}
    run("nft", "-f", ruleset)
    results["with ours"] = ask_all(stranger)
    sys.stdout.write(json.dumps(results))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
