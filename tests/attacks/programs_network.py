"""Programs that reach for a network, for sockets of this machine, or for a socket at all."""

from __future__ import annotations

from .attack import ABSENT, ROOT_ONLY, Attack


def _socket(arguments: str, then: str = "escaped(found)") -> str:
    return f"import socket\nfound = socket.socket({arguments})\n{then}"


ATTACKS = (
    Attack("connect by IPv4", "network", "import socket\nsocket.create_connection(('127.0.0.1', at.port), 1)"),
    Attack("connect by IPv6", "network", "import socket\nsocket.create_connection(('::1', at.port6), 1)",
           barred=(*ABSENT, "EADDRNOTAVAIL", "ECONNREFUSED")),
    Attack("connect by raw system calls", "network",
           """
import struct
found = call("socket", 2, 1, 0)
port = int.from_bytes(at.port.to_bytes(2, "big"), "little")
call("connect", found, struct.pack("<HH4s8x", 2, port, b"\\x7f\\0\\0\\1"), 16)
"""),
    Attack("send a datagram", "network", _socket("socket.AF_INET, socket.SOCK_DGRAM",
           "found.sendto(at.mark.encode(), ('127.0.0.1', at.udp))")),
    Attack("ask a name server", "network", _socket("socket.AF_INET, socket.SOCK_DGRAM", r"""
question = b"\1\2\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(p)]) + p for p in (at.mark.encode(), b"invalid"))
found.sendto(question + b"\0\0\1\0\1", ("127.0.0.1", at.udp))""")),
    Attack("resolve a name by the system", "network", """
import socket
print(socket.getaddrinfo("127.0.0.1", at.port), socket.gethostbyname("localhost"))
socket.create_connection((socket.gethostbyname("localhost"), at.port), 1)
"""),
    Attack("send by HTTP", "network",
           "import urllib.request\nurllib.request.urlopen(f'http://127.0.0.1:{at.port}/?{at.mark}', timeout=0.3)"),
    Attack("connect by asyncio", "network",
           "import asyncio\nasyncio.run(asyncio.wait_for(asyncio.open_connection('127.0.0.1', at.port), 1))"),
    Attack("connect to a socket file", "network", _socket("socket.AF_UNIX", "found.connect(at.unix)")),
    Attack("connect to an abstract socket", "network", _socket("socket.AF_UNIX", "found.connect(at.abstract)")),
    Attack("send a datagram to a socket file", "network",
           _socket("socket.AF_UNIX, socket.SOCK_DGRAM", "found.sendto(at.mark.encode(), at.datagrams)")),
    Attack("listen and accept", "network", """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname(), 1)
escaped(server.accept())
"""),
    Attack("ask the kernel for the interfaces", "network", _socket("socket.AF_NETLINK, socket.SOCK_RAW, 0", r"""
import struct
found.send(struct.pack("=IHHII", 32, 18, 0x301, 1, 0) + bytes(16))
escaped(len(found.recv(65536)))""")),
    Attack("listen to all packets", "network", _socket("socket.AF_PACKET, socket.SOCK_RAW, 0"),
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack("write raw packets", "network", _socket("socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW"),
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack("ping", "network", _socket("socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP"),
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack("speak to the host of a virtual machine", "network", _socket("socket.AF_VSOCK, socket.SOCK_STREAM"),
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack("speak to a device by Bluetooth", "network", _socket("31, socket.SOCK_RAW, 1"),
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack("use the kernel's ciphers", "network", _socket("socket.AF_ALG, socket.SOCK_SEQPACKET"),
           barred=(*ROOT_ONLY, *ABSENT)),
    Attack("pass a descriptor through a socket pair", "network", """
import socket
one, two = socket.socketpair()
socket.send_fds(one, [b"x"], [0])
escaped(socket.recv_fds(two, 1, 1))
"""),
    Attack("open a tunnel", "network", "escaped(os.open('/dev/net/tun', os.O_RDWR))", barred=(*ROOT_ONLY, *ABSENT)),
)  # fmt: skip
