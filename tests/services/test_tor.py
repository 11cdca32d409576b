# SPDX-License-Identifier: GPL-3.0-or-later
"""tor as it is rendered, behind its firewall, in a private Tor network."""

import base64
import contextlib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_root import PACKAGES, make_lab_root
from net_namespace import Namespace, connect, recorded_frames
from snowflake_far_end import FarEnd
from socks import RefusedFault, fetch_page
from test_tor_network import bootstrapped_client, destinations
from tor_container import LLM_REMOTE, TOR_CONTROL, TOR_SOCKS, USER, Container, booted
from tor_network import GATEWAY, TorNetwork
from tor_servers import AUTHORITIES, BRIDGE, RELAYS

pytestmark = pytest.mark.root

UNIT = "tor@default.service"
PUBLISHED_TIMEOUT_S = 90.0
DONE = "Bootstrapped 100%"
DIRECTORY = {f"6 {each.address} {each.port}" for each in (*AUTHORITIES, *RELAYS)}
FETCH = """
import socket, sys
with socket.create_connection((sys.argv[1], 80), 60) as page:
    page.sendall(f"GET / HTTP/1.0\\r\\nHost: {sys.argv[1]}\\r\\n\\r\\n".encode())
    answer = b"".join(iter(lambda: page.recv(4096), b"")).decode()
print(answer.partition("\\r\\n\\r\\n")[2])
"""
ASK_SOCKS = 'import socket; socket.socket(socket.AF_UNIX).connect("/run/tor/socks")'
ASK_REMOTELY = """
import http.client, json, socket
connection = http.client.HTTPConnection("door")
connection.sock = socket.socket(socket.AF_UNIX)
connection.sock.connect("/run/remote-ai/llm.sock")
question = json.dumps({"model": "large", "messages": []})
connection.request("POST", "/v1/chat/completions", question)
answer = connection.getresponse()
print(answer.status, answer.headers["X-AI-Origin"], answer.headers["X-AI-Provider"])
print(answer.read().decode())
"""
KEEP_KEY = (
    "mkdir -p /etc/credstore.encrypted && printf a-key | systemd-creds encrypt "
    "--with-key=host --name=remote-ai.hidden - /etc/credstore.encrypted/remote-ai.hidden"
)
# Opens streams to the same place by several SOCKS ports, and asks tor which circuits carry them.
# The circuits of a Conflux set are legs of one way. Source: tor's proposal 329.
COMPARE_CIRCUITS = """
import pathlib, re, socket, struct, sys
name = sys.argv[1].encode()
streams = []
for port in sys.argv[2:]:
    stream = socket.create_connection(("127.0.0.1", int(port)), 60)
    stream.sendall(b"\\x05\\x01\\x00" + b"\\x05\\x01\\x00\\x03" + bytes((len(name),)) + name
                   + struct.pack("!H", 80))
    got = b""
    while len(got) < 12:
        got += stream.recv(12 - len(got))
    assert got[3] == 0, got
    streams.append(stream)
control = socket.socket(socket.AF_UNIX)
control.connect("/run/tor/control")
cookie = pathlib.Path("/run/tor/control.authcookie").read_bytes().hex()
questions = "GETINFO stream-status circuit-status"
control.sendall(f"AUTHENTICATE {cookie}\\r\\n{questions}\\r\\nQUIT\\r\\n".encode())
answer = b"".join(iter(lambda: control.recv(4096), b"")).decode()
rows = [line.split() for line in answer.splitlines() if " SUCCEEDED " in line]
circuits = {int(row[0].rpartition("=")[2]): row[2] for row in rows}
sets = dict(re.findall(r"^(\\d+) BUILT .* CONFLUX_ID=(\\S+)", answer, re.MULTILINE))
print(*(sets.get(circuits[number], circuits[number]) for number in sorted(circuits)))
"""
ASK_CONTROL = 'import socket; socket.socket(socket.AF_UNIX).connect("/run/tor/control")'
SEND_DATAGRAM = """
import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"stray", ("198.51.100.1", 4242))
"""
# A web server of one's own, as a component: its port is open to tor's user and nobody else.
WEB_SERVER = """\
kind: network
summary: a page
users:
  - {name: page, uid: 930}
listens:
  - {protocol: tcp, address: 127.0.0.1, port: 8080, user: page, open-to: [debian-tor]}
"""
SERVE = """
import socket
with socket.create_server(("127.0.0.1", 8080)) as server:
    while True:
        page, _ = server.accept()
        with page:
            page.recv(4096)
            page.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nhosted here")
"""


@pytest.fixture
def client(lab_root: Path, tmp_path: Path) -> Iterator[Namespace]:
    with Namespace(lab_root, tmp_path) as namespace:
        namespace.set("ipv6/conf/all/disable_ipv6", "1")
        yield namespace


def fetch(container: Container, host: str) -> str:
    """Fetch a page by its name as an ordinary user who knows nothing of Tor."""
    return container.said("python3", "-c", FETCH, host, user=USER)


def use_resolver(container: Container) -> None:
    """Give the container the resolver that another component brings."""
    container.said("sh", "-c", "echo nameserver 127.0.0.1 > /etc/resolv.conf")


def fetch_when_published(client: Namespace, onion: str) -> str:
    """Fetch a page of an onion service that may have come up this moment."""
    deadline = time.monotonic() + PUBLISHED_TIMEOUT_S
    while True:
        try:
            return fetch_page(client, onion, socks_port=9050)
        except RefusedFault:
            assert time.monotonic() < deadline, "the onion service is not found"
            time.sleep(1)


def make_key_pair() -> tuple[str, str]:
    """Make an x25519 key pair for an onion service's client: private, public, in base32."""
    private = subprocess.run(
        ("openssl", "genpkey", "-algorithm", "x25519", "-outform", "DER"),
        check=True,
        capture_output=True,
    ).stdout
    public = subprocess.run(
        ("openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"),
        input=private,
        check=True,
        capture_output=True,
    ).stdout
    # Source: RFC 8410: either key is the last 32 bytes.
    keys = (base64.b32encode(each[-32:]).decode().rstrip("=") for each in (private, public))
    return next(keys), next(keys)


def test_transparent_mode_leads_a_user_to_the_web_and_to_an_onion(
    lab_root: Path, tor_network: TorNetwork, client: Namespace, tmp_path: Path
) -> None:
    with (
        tor_network.attach(client) as cable,
        cable.recorded() as frames,
        booted(lab_root, tmp_path, tor_network.authorities, client, "  tor: {}\n") as container,
    ):
        container.wait_for_journal(UNIT, DONE)
        use_resolver(container)
        pages = [fetch(container, host) for host in (tor_network.web_name, tor_network.onion)]
        score = container.said("systemd-analyze", "security", "--no-pager", UNIT).splitlines()[-1]
        pid = container.said("systemctl", "show", "--property=MainPID", "--value", UNIT)
        privileges = container.said("cat", f"/proc/{pid}/status")
    assert pages == [tor_network.web_text, tor_network.onion_text]
    assert destinations(frames) - DIRECTORY <= {f"arp {GATEWAY}"}
    assert float(score.split(": ")[1].split()[0]) <= 1.5
    assert "CapBnd:\t0000000000000000" in privileges


def test_ports_share_no_circuit(
    lab_root: Path, tor_network: TorNetwork, client: Namespace, tmp_path: Path
) -> None:
    options = "{mode: socks, isolated-ports: [9151, 9152], control: on}"
    with (
        tor_network.attach(client),
        booted(
            lab_root, tmp_path, tor_network.authorities, client, f"  tor: {options}\n"
        ) as container,
    ):
        container.wait_for_journal(UNIT, DONE)
        ports = [port for port in ("9050", "9151", "9152") for _ in range(3)]
        compare = ("python3", "-c", COMPARE_CIRCUITS, tor_network.web_name, *ports)
        used = container.said(*compare, user=USER, groups=[TOR_CONTROL]).split()
        stranger = container.run("python3", "-c", ASK_CONTROL, user=USER)
    assert len(used) == len(ports)
    by_port = [{*used[start : start + 3]} for start in range(0, len(used), 3)]
    assert sum(map(len, by_port)) == len({*used}), used
    # A port's first stream may be there before the circuit that the others share.
    assert all(len(circuits) < 3 for circuits in by_port), used
    assert "PermissionError" in stranger.stderr


def test_gateway_asks_an_onion_service_by_the_socket_of_its_group(
    tor_network: TorNetwork, tmp_path: Path
) -> None:
    root = make_lab_root((*PACKAGES, "ca-certificates", "openssl", "python3"))
    components = (
        "  tor: {mode: socks, socks-socket: on}\n"
        f"  remote-ai: {{providers: ['hidden http://{tor_network.onion} large']}}\n"
    )
    ask = ("python3", "-I", "-c", ASK_REMOTELY)
    with Namespace(root, tmp_path) as client:
        client.set("ipv6/conf/all/disable_ipv6", "1")
        with (
            tor_network.attach(client),
            booted(root, tmp_path, tor_network.authorities, client, components) as container,
        ):
            container.wait_for_journal(UNIT, DONE)
            container.said("systemctl", "start", "remote-ai.socket")
            strangers = [
                container.run("python3", "-c", ASK_SOCKS, user=USER).stderr,
                container.run(*ask, user=USER).stderr,
            ]
            member = container.run("python3", "-c", ASK_SOCKS, user=USER, groups=[TOR_SOCKS])
            without_key = container.said(*ask, user=USER, groups=[LLM_REMOTE])
            container.said("sh", "-c", KEEP_KEY)
            container.said("systemctl", "stop", "remote-ai.service")
            answer = container.said(*ask, user=USER, groups=[LLM_REMOTE])
            score = container.said("systemd-analyze", "security", "--no-pager", "remote-ai.service")
    assert all("PermissionError" in each for each in strangers)
    assert member.returncode == 0, member.stderr
    assert without_key.startswith("503 remote None\n")
    # A page that takes no questions: its refusal came back, so the question got there.
    assert answer.startswith("501 remote hidden\n")
    assert float(score.splitlines()[-1].split(": ")[1].split()[0]) <= 0.5


def test_bridge_is_all_that_tor_talks_to(
    lab_root: Path, tor_network: TorNetwork, client: Namespace, tmp_path: Path
) -> None:
    line = tor_network.bridge_line
    options = f"{{mode: socks, bridges: obfs4, sandbox: off, bridge-lines: ['{line}']}}"
    with (
        tor_network.attach(client) as cable,
        cable.recorded() as frames,
        booted(
            lab_root, tmp_path, tor_network.authorities, client, f"  tor: {options}\n"
        ) as container,
    ):
        container.wait_for_journal(UNIT, DONE)
        page = fetch_page(client, tor_network.web_name, socks_port=9050)
        transport = container.said("pgrep", "--uid", "debian-tor", "--list-name", "obfs4proxy")
    assert page == tor_network.web_text
    assert len(transport.splitlines()) == 1
    assert destinations(frames) - {f"arp {GATEWAY}"} == {f"6 {BRIDGE.address} {BRIDGE.port}"}


def test_snowflake_offers_itself_and_nobody_else_sends_datagrams(tmp_path: Path) -> None:
    root = make_lab_root((*PACKAGES, "ca-certificates", "snowflake-client"))
    line = (
        f"snowflake 192.0.2.3:80 {'0123456789ABCDEF0123' * 2} "
        "url=http://broker.test/ ice=stun:stun.test:3478"
    )
    options = (
        "{mode: socks, bridges: snowflake, sandbox: off, bridge-resolvers: [198.51.100.1], "
        f"bridge-lines: ['{line}']}}"
    )
    with Namespace(root, tmp_path) as client, Namespace() as far:
        for each in (client, far):
            each.set("ipv6/conf/all/disable_ipv6", "1")
        connect(client, "eth0", far, "cable")
        client.run("ip", "address", "add", "198.51.100.2/24", "dev", "eth0")
        client.run("ip", "route", "add", "default", "via", "198.51.100.1")
        far.run("ip", "address", "add", "198.51.100.1/24", "dev", "cable")
        end = FarEnd(far, "198.51.100.1")
        with (
            far.listen_on_card("cable") as card,
            recorded_frames(card) as frames,
            booted(root, tmp_path, (), client, f"  tor: {options}\n") as container,
        ):
            container.wait_for_journal(UNIT, "broker failure")
            stray = container.run("python3", "-c", SEND_DATAGRAM, user=USER)
    assert end.names == {"broker.test", "stun.test"}
    assert any("198.51.100.2" in offer and " typ srflx " in offer for offer in end.offers)
    assert "PermissionError" in stray.stderr
    assert "17 198.51.100.1 4242" not in destinations(frames)


def test_tor_stays_off_the_network_until_somebody_agrees(
    lab_root: Path, tor_network: TorNetwork, client: Namespace, tmp_path: Path
) -> None:
    options = "{consent: on, control: on, mode: socks}"
    with (
        tor_network.attach(client) as cable,
        booted(
            lab_root, tmp_path, tor_network.authorities, client, f"  tor: {options}\n"
        ) as container,
    ):
        container.wait_for_journal(UNIT, "DisableNetwork is set")
        with cable.recorded() as before:
            refused = container.run("tor-consent", "yes", user=USER)
            with pytest.raises(ConnectionRefusedError):
                fetch_page(client, tor_network.web_name, socks_port=9050)
        agreed = container.said("tor-consent", "yes", user=USER, groups=[TOR_CONTROL])
        container.wait_for_journal(UNIT, DONE)
        page = fetch_page(client, tor_network.web_name, socks_port=9050)
        container.said("tor-consent", "no", user=USER, groups=[TOR_CONTROL])
        shown = container.said("tor-consent", "show", user=USER, groups=[TOR_CONTROL])
    assert refused.returncode == 1
    assert refused.stderr == "tor cannot be asked: [Errno 13] Permission denied\n"
    assert destinations(before) <= {f"arp {GATEWAY}"}
    assert (agreed, page) == ("done", tor_network.web_text)
    assert shown == "tor stays off the network"


def test_onion_service_of_the_machine_is_for_its_clients(
    lab_root: Path, tor_network: TorNetwork, tmp_path: Path
) -> None:
    private, public = make_key_pair()
    options = (
        "{mode: socks, onion-services: ['web 80 127.0.0.1:8080'], "
        f"onion-clients: [web alice {public}]}}"
    )
    components = f"  page: {{}}\n  tor: {options}\n"
    own = tmp_path / "components"
    (own / "page").mkdir(parents=True)
    (own / "page/component.yaml").write_text(WEB_SERVER)
    works = {name: tmp_path / name for name in ("machine", "friend", "stranger")}
    with contextlib.ExitStack() as stack:
        for work in works.values():
            work.mkdir()
        machine, friend, stranger = (
            stack.enter_context(Namespace(lab_root, work)) for work in works.values()
        )
        for each in (machine, friend, stranger):
            each.set("ipv6/conf/all/disable_ipv6", "1")
            stack.enter_context(tor_network.attach(each))
        container = stack.enter_context(
            booted(lab_root, works["machine"], tor_network.authorities, machine, components, own)
        )
        container.said("systemd-run", "--uid=page", "python3", "-c", SERVE)
        onion = container.said("cat", "/var/lib/tor/onion-web/hostname")
        lines = "\n".join((*tor_network.authorities, "ClientOnionAuthDir /mnt/keys\n"))
        for work in (works["friend"], works["stranger"]):
            (work / "keys").mkdir(mode=0o700)
        key = works["friend"] / "keys/web.auth_private"
        key.write_text(f"{onion.removesuffix('.onion')}:descriptor:x25519:{private}\n")
        stack.enter_context(bootstrapped_client(friend, works["friend"], lines))
        stack.enter_context(bootstrapped_client(stranger, works["stranger"], lines))
        page = fetch_when_published(friend, onion)
        with pytest.raises(RefusedFault):
            fetch_page(stranger, onion, socks_port=9050)
    assert page == "hosted here"
