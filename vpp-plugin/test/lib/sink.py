# SPDX-License-Identifier: Apache-2.0
# sink.py ADDRESS PORT: takes one connection, reads it to its end, answers with the SHA-256 of what came. Prints "ready".
# sink.py ADDRESS PORT BYTES: connects, sends so many random bytes, ends its side. Prints their SHA-256 and the answer.
import hashlib
import os
import socket
import sys

address, port = sys.argv[1], int(sys.argv[2])
if len(sys.argv) == 3:
    listener = socket.create_server((address, port))
    print("ready", flush=True)
    peer, _ = listener.accept()
    digest = hashlib.sha256()
    while data := peer.recv(1 << 16):
        digest.update(data)
    peer.sendall(digest.hexdigest().encode())
else:
    data = os.urandom(int(sys.argv[3]))
    peer = socket.create_connection((address, port), 60)
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)
    print(hashlib.sha256(data).hexdigest(), peer.makefile().read())
