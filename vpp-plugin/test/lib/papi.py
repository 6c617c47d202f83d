# SPDX-License-Identifier: Apache-2.0
# papi.py SOCKET < [["message", {arguments}], ...] > [reply or [details, ...], ...]: calls of VPP's binary API through vpp_papi, as JSON.
# LB_RL_API names the JSON files of the messages, separated by colons; vpp_papi itself comes from PYTHONPATH.
import json
import os
import sys

from vpp_papi import VPPApiClient


def plain(x):
    """A reply as JSON knows it: addresses and enums as text."""
    if hasattr(x, "_asdict"):
        return {k: plain(v) for k, v in x._asdict().items() if k not in ("_0", "context", "client_index")}
    if isinstance(x, (list, tuple)):
        return [plain(v) for v in x]
    if isinstance(x, bool) or type(x) in (int, float, str) or x is None:
        return x
    return getattr(x, "name", None) or str(x)


vpp = VPPApiClient(apifiles=os.environ["LB_RL_API"].split(":"), server_address=sys.argv[1])
vpp.connect("lb-rl-test")
try:
    json.dump([plain(getattr(vpp.api, name)(**args)) for name, args in json.load(sys.stdin)], sys.stdout)
finally:
    vpp.disconnect()
