# SPDX-License-Identifier: Apache-2.0
"""lb_rl_plugin in VPP's own test framework (make test), as test_lb.py has it for VPP's lb. Run from a VPP source tree:

    make test TEST=lb_rl EXTERN_TESTS=<here> EXTERN_PLUGINS=<build/vpp/lib/vpp_plugins> EXTERN_APIDIR=<build/vpp>

all of them absolute paths, of a checkout in which scripts/build-vpp.mjs ran against that VPP.
"""

import os
import unittest

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import GRE, Ether
from scapy.packet import Raw

from config import config
from framework import VppTestCase
from vpp_ip import INVALID_INDEX
from vpp_ip_route import VppIpRoute, VppRoutePath

SERVERS = 5
FLOWS = 100


@unittest.skipIf("lb_rl" in config.excluded_plugins, "lb_rl plugin is excluded")
class TestLbRl(VppTestCase):
    """lb rl: learned load balancer"""

    extra_vpp_plugin_config = ["plugin", "lb_rl_plugin.so", "{", "enable", "}"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.create_pg_interfaces(range(2))
        for i in cls.pg_interfaces:
            i.admin_up()
            i.config_ip4()
            i.config_ip6()
            i.disable_ipv6_ra()
            i.resolve_arp()
            i.resolve_ndp()
        for prefix, length, via in (
            ("10.0.0.0", 24, cls.pg1.remote_ip4),
            ("2002::", 16, cls.pg1.remote_ip6),
        ):
            path = VppRoutePath(via, INVALID_INDEX)
            VppIpRoute(cls, prefix, length, [path], register=False).add_vpp_config()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()

    def setUp(self):
        super().setUp()
        self.done(f"lb rl set-shm {os.path.join(self.tempdir, 'lb_rl_shm')}")
        self.done("lb rl enable flows 4096 half-open 1024")

    def tearDown(self):
        if not self.vpp_dead:
            self.done("lb rl disable")
        super().tearDown()

    def done(self, command):
        """A command that did as told says nothing."""
        self.assertEqual(self.vapi.cli(command).strip(), "", command)

    def vip(self, words, servers):
        self.done(f"lb rl set-vip v {words}")
        self.done(f"lb rl set-servers {' '.join(servers)}")

    def flows(self, ip, l4=UDP):
        head = Ether(dst=self.pg0.local_mac, src=self.pg0.remote_mac)
        flags = {"flags": "S"} if l4 is TCP else {}
        return [
            head / ip / l4(sport=10000 + i, dport=20000, **flags) / Raw(b"%d" % i)
            for i in range(FLOWS)
        ]

    def check_spread(self, sent, server_of):
        """Each flow has one server, twice the same, and all servers have flows. Returns what came out first."""
        first = self.send_and_expect(self.pg0, sent, self.pg1)
        again = self.send_and_expect(self.pg0, sent, self.pg1)
        where = [server_of(p) for p in first]
        self.assertEqual(where, [server_of(p) for p in again])
        self.assertEqual(len(set(where)), SERVERS)
        return first

    def client4(self, dst="90.0.0.1"):
        return IP(src=self.pg0.remote_ip4, dst=dst)

    def client6(self):
        return IPv6(src=self.pg0.remote_ip6, dst="2001::1")

    def servers4(self):
        return [f"10.0.0.{i + 1}" for i in range(SERVERS)]

    def test_gre4(self):
        """lb rl: IPv4 into GRE4"""
        self.vip("90.0.0.0/8 gre4 src 39.40.41.42", self.servers4())
        out = self.check_spread(self.flows(self.client4()), lambda p: p[IP].dst)
        for i, p in enumerate(out):
            self.assertEqual(p[IP].src, "39.40.41.42")
            self.assert_ip_checksum_valid(p)
            inner = IP(bytes(p[GRE].payload))
            self.assertEqual(
                (inner.src, inner.dst), (self.pg0.remote_ip4, "90.0.0.1")
            )
            self.assertEqual(inner[UDP].sport, 10000 + i)

    def test_gre6(self):
        """lb rl: IPv6 into GRE6"""
        servers = [f"2002::{i + 1}" for i in range(SERVERS)]
        self.vip("2001::/16 gre6 src 2004::1", servers)
        out = self.check_spread(self.flows(self.client6()), lambda p: p[IPv6].dst)
        for p in out:
            self.assertEqual(p[IPv6].src, "2004::1")

    def test_l3dsr(self):
        """lb rl: L3 DSR sets DSCP and address, and the checksums with them"""
        self.vip("90.0.0.1 tcp 20000 l3dsr dscp 7", self.servers4())
        sent = self.flows(self.client4(), TCP)
        for p in self.check_spread(sent, lambda p: p[IP].dst):
            self.assertEqual(p[IP].tos, 7 << 2)
            self.assert_ip_checksum_valid(p)
            self.assert_tcp_checksum_valid(p)

    def test_nat4(self):
        """lb rl: NAT to servers' ports and back"""
        servers = [f"{s}:3307" for s in self.servers4()]
        self.vip("90.0.0.1 udp 20000 nat", servers)
        self.done(f"lb rl nat interface {self.pg1.name}")
        out = self.check_spread(self.flows(self.client4()), lambda p: p[IP].dst)
        back = [
            Ether(dst=self.pg1.local_mac, src=self.pg1.remote_mac)
            / IP(src=p[IP].dst, dst=p[IP].src)
            / UDP(sport=3307, dport=p[UDP].sport)
            / Raw(b"answer")
            for p in out
        ]
        for p in self.send_and_expect(self.pg1, back, self.pg0):
            self.assertEqual((p[IP].src, p[UDP].sport), ("90.0.0.1", 20000))
            self.assert_udp_checksum_valid(p)

    def test_no_server(self):
        """lb rl: a VIP without servers answers"""
        self.done("lb rl set-vip v 90.0.0.1 udp 20000 nat")
        sent = self.flows(self.client4())[:10]
        for p in self.send_and_expect(self.pg0, sent, self.pg0):
            self.assertEqual(p["ICMP"].type, 3)


if __name__ == "__main__":
    unittest.main()
