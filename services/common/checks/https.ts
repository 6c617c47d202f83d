// SPDX-License-Identifier: Apache-2.0
import { defineCheck } from "./check.js";
import { httpKeys, requestStatus } from "./http.js";
import { opened } from "./socket.js";
import { secured, tlsKeys } from "./tls.js";

export const check = defineCheck({
  kind: "https",
  help: "the same over TLS; tls_verify, tls_name (SNI) and tls_ca say which certificate is good",
  schema: { ...httpKeys, ...tlsKeys },
  async run(target, options, signal) {
    const tls = await secured(() => opened(target, signal, options.send_proxy), target, options);
    return requestStatus(tls, target, options, signal, options.http_host || options.tls_name || undefined);
  },
});
