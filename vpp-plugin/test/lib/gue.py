# SPDX-License-Identifier: Apache-2.0
# gue.py ADDRESS PORT TUN: a server's end of GUE. A UDP socket of the kernel's, which checks the outer header and its checksum, takes
# the datagrams; what is inside goes to the kernel by a TUN interface. Prints "ready"; ends with a message on a header it cannot read.
import fcntl
import os
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000

address, port, name = sys.argv[1], int(sys.argv[2]), sys.argv[3]
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
family = socket.AF_INET6 if ":" in address else socket.AF_INET
udp = socket.socket(family, socket.SOCK_DGRAM)
udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
udp.bind((address, port))
print("ready", flush=True)
while True:
    data = udp.recv(65535)
    first, protocol = data[0], data[1]
    # Version 0, no control message; the header's length counts words of options behind the first four bytes.
    if first & 0xE0 or protocol != (41 if data[4 * (1 + (first & 31))] >> 4 == 6 else 4):
        sys.exit(f"no GUE data packet: {data[:8].hex()}")
    os.write(tun, data[4 * (1 + (first & 31)) :])
