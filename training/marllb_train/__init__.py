# SPDX-License-Identifier: Apache-2.0
"""Training of marllb's policies on native/sim (see ../README.md)."""
