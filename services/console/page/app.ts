// SPDX-License-Identifier: Apache-2.0
// The page as a whole.
import { type Act, type ConsoleEvent, concerns, type Explained, type Live, type Me, type VipBrief } from "../wire.js";
import { charts } from "./charts.js";
import { applyTheme, colour, storedTheme, type Theme } from "./colours.js";
import { type Asked, Dialog } from "./dialogs.js";
import { eventList } from "./events.js";
import { explain } from "./explain.js";
import { Asking, Feed } from "./feed.js";
import { ago, count, fixed, ms } from "./format.js";
import { Component, html, type View } from "./html.js";
import { forgetToken, keepToken, place, readPlace, takeToken } from "./place.js";
import { Series } from "./series.js";
import { servers } from "./servers.js";
import { trust } from "./trust.js";

const SPANS: readonly (readonly [ms: number, label: string])[] = [
  [600_000, "10 min"],
  [7_200_000, "2 h"],
  [86_400_000, "24 h"],
];
const EXPLAIN_MS = 2000;
const MAX_EVENTS = 1000;
const SAID_MS = 6000;

interface State {
  me: Me | null;
  live: Live | null;
  /** Why nothing is heard; empty: it is. */
  away: string;
  key: string;
  span: number;
  series: Series | null;
  events: ConsoleEvent[];
  explained: Explained | null;
  explainError: string;
  explaining: boolean;
  asked: Asked | null;
  theme: Theme;
  focus: string | undefined;
  said: string;
}

export class App extends Component<object, State> {
  override state: State = {
    me: null,
    live: null,
    away: "connecting",
    ...readPlace(),
    series: null,
    events: [],
    explained: null,
    explainError: "",
    explaining: false,
    asked: null,
    theme: storedTheme(),
    focus: undefined,
    said: "",
  };
  readonly #asking = new Asking();
  readonly #feed = new Feed(this.#asking, {
    message: (m) => this.#heard(m),
    state: (away) => {
      if (away !== this.state.away) this.setState({ away });
    },
  });
  #explainTimer = 0;
  #saidTimer = 0;
  #loading = "";
  #loadedAt = 0;

  override componentDidMount(): void {
    applyTheme(this.state.theme);
    this.#asking.token = takeToken();
    void this.#who().then((me) => {
      if (this.#asking.token === "" || me === null || me.role === "operate") return;
      this.#signOut();
      this.#say("the token is not this console's: read only");
    });
    this.#feed.watch(this.state.key);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.forceUpdate());
    addEventListener("hashchange", () => this.#show(readPlace().key, readPlace().span));
  }

  render(): View {
    const { live, me, away, asked, said } = this.state;
    const brief = this.#brief();
    return html`<div class="page">
      ${this.#header()}
      <p class="unseen" role="status">${said}</p>
      ${said === "" ? null : html`<p class="toast" aria-hidden="true">${said}</p>`}
      ${away !== "" && live !== null ? html`<p class="banner bad" role="alert">Not live: ${away}. What is shown is of ${ago(Date.now() - live.at)}.</p>` : null}
      ${(live?.silent ?? []).map((s) => html`<p class="banner note" key=${s.address}>${s.address}: ${s.why}</p>`)}
      <main>${me?.role === "none" ? this.#locked() : brief ? this.#vip(brief) : html`<p class="empty">${live === null ? `Connecting … ${away === "connecting" ? "" : away}` : "No load balancer has said anything yet."}</p>`}</main>
      ${asked ? html`<${Dialog} key=${asked.what} asked=${asked} me=${me} signedIn=${this.#asking.token !== ""} onToken=${this.#signIn} onSignOut=${this.#signOut} onAct=${(a: Act) => this.#act(a)} onClose=${(text: string) => this.#closed(text)} />` : null}
    </div>`;
  }

  #brief(): VipBrief | undefined {
    const vips = this.state.live?.vips ?? [];
    return vips.find((v) => v.key === this.state.key) ?? vips[0];
  }

  #header(): View {
    const { live, away, theme, me } = this.state;
    const vips = live?.vips ?? [];
    const brief = this.#brief();
    const themes: readonly Theme[] = ["auto", "light", "dark"];
    return html`<header>
      <div class="bar">
        <h1><img src="/page/icon.svg" alt="" width="24" height="24" />marllb</h1>
        <span class=${`pill ${away === "" ? "good" : "bad"}`}>${away === "" ? "live" : "not live"}</span>
        <span class="spring"></span>
        <button type="button" class="small" onClick=${() => this.setState({ asked: { what: "token" } })}>${me?.role === "operate" ? "may act" : "read only"}</button>
        <label class="theme"><span class="unseen">Colours</span><select onChange=${(e: Event) => this.#theme((e.target as HTMLSelectElement).value as Theme)}>
          ${themes.map((t) => html`<option key=${t} value=${t} selected=${t === theme}>${t}</option>`)}
        </select></label>
      </div>
      ${
        vips.length > 1
          ? html`<nav aria-label="VIPs"><ul>${vips.map(
              (
                v,
              ) => html`<li key=${v.key}><button type="button" class=${`vip ${v.stale ? "stale" : v.tone}`} aria-current=${v.key === brief?.key ? "page" : undefined} onClick=${() => this.#show(v.key, this.state.span)}>
                <b>${v.name}</b><span>${v.lb}</span><span>${ms(v.p95, me?.endMs)} p95 · ${count(v.newFlows)}/s</span></button></li>`,
            )}</ul></nav>`
          : null
      }
    </header>`;
  }

  #locked(): View {
    return html`<p class="empty">This console shows nothing to those who do not say who they are. <button type="button" onClick=${() => this.setState({ asked: { what: "token" } })}>Sign in</button></p>`;
  }

  #vip(brief: VipBrief): View {
    const { live, me, series, focus, theme, span, events } = this.state;
    const detail = live?.detail?.key === brief.key ? live.detail : null;
    const mine = events.filter((e) => concerns(e, brief.key));
    const endMs = me?.endMs ?? Number.POSITIVE_INFINITY;
    const shown = series?.key === brief.key ? series : null;
    const may = me?.role === "operate";
    return html`
      <section class="head" aria-labelledby="vip-title">
        <div><h2 id="vip-title">${brief.name} <span class="hint">${brief.address} at ${brief.lb}</span></h2>
        <p class=${`ladder ${brief.stale ? "bad" : brief.step === 0 ? "good" : "bad"}`}><span class="hint">ladder</span> <b>${brief.stale ? "nothing heard" : brief.ladder}</b> <span>${brief.stale ? ago(Date.now() - brief.at) : brief.why}</span></p></div>
        <div class="buttons"><button type="button" onClick=${() => this.#ask("policy", may, brief)}>Policy …</button><button type="button" onClick=${() => this.#ask("pin", may, brief)}>Pin weights …</button></div>
      </section>
      ${tiles(brief, endMs)}
      <section aria-labelledby="charts-title">
        <div class="section-head"><h2 id="charts-title">Over time</h2><div class="spans" role="group" aria-label="Span">${SPANS.map(
          ([msOf, label]) =>
            html`<button type="button" key=${label} aria-pressed=${span === msOf} onClick=${() => this.#show(brief.key, msOf)}>${label}</button>`,
        )}</div></div>
        ${shown ? charts({ series: shown, brief, servers: detail?.servers ?? [], events: mine.filter((e) => e.at >= 1000 * (shown.t[0] ?? 0)), theme: `${theme}${colour("bg")}`, endMs, focus, capacityKnown: detail?.capacityKnown ?? false }) : html`<p class="hint">Loading …</p>`}
      </section>
      <section aria-labelledby="servers-title"><h2 id="servers-title">Servers <span class="hint">${brief.up} of ${brief.servers} up; pool ${brief.state}</span></h2>
        ${servers({
          servers: detail?.servers ?? [],
          series: shown,
          capacityKnown: detail?.capacityKnown ?? false,
          shadow: new Map(detail?.trust.shadow?.shares.map((s) => [s.address, s.share])),
          endMs,
          onFocus: (address) => this.setState({ focus: address }),
          onHold: (server) =>
            this.setState({ asked: may ? { what: "hold", key: brief.key, name: brief.name, server } : { what: "token" } }),
        })}
      </section>
      <section aria-labelledby="trust-title"><h2 id="trust-title">On trial</h2>${detail ? trust(detail.trust) : null}</section>
      <section aria-labelledby="why-title"><details open=${this.state.explaining} onToggle=${this.#explaining}><summary><h2 id="why-title">Why these weights</h2></summary>
        ${this.state.explained ? explain(this.state.explained) : html`<p class="hint">${this.state.explainError || "Asking the policy …"}</p>`}</details></section>
      <section aria-labelledby="events-title"><h2 id="events-title">Events</h2>${eventList(mine, live?.at ?? 0)}</section>`;
  }

  #heard(live: Live): void {
    const { series, events } = this.state;
    const known = new Set(events.map((e) => e.id));
    const added = live.events.filter((e) => !known.has(e.id));
    const brief = live.vips.find((v) => v.key === this.state.key) ?? live.vips[0];
    if (series && series.step <= 1000 && series.key === brief?.key) series.add(live);
    this.setState({ live, events: added.length > 0 ? [...events, ...added].slice(-MAX_EVENTS) : events });
    if (brief && brief.key !== this.state.key) this.#show(brief.key, this.state.span);
    else if (brief) this.#keepLoaded(brief.key);
    const bad = added.filter((e) => e.tone === "bad" && brief && concerns(e, brief.key));
    if (bad.length > 0) this.#say(bad.map((e) => e.text).join("; "));
  }

  #show(key: string, span: number): void {
    if (key === this.state.key && span === this.state.span && this.state.series) return;
    const other = key !== this.state.key;
    this.setState({ key, span, series: null, ...(other && { explained: null, explainError: "" }) }, () => {
      place(key, span);
      this.#loadedAt = 0;
      if (other) this.#feed.watch(key);
      this.#keepLoaded(key);
    });
  }

  /** The past of the VIP and span that are shown: at first, and again where a step is longer than the time between two messages. */
  #keepLoaded(key: string): void {
    const { span, series } = this.state;
    const wanted = `${key} ${span}`;
    const fresh = series?.key === key && (series.step <= 1000 || Date.now() - this.#loadedAt < series.step);
    if (key === "" || this.#loading === wanted || fresh) return;
    this.#loading = wanted;
    this.#asking
      .past(key, span)
      .then((past) => {
        if (this.state.key !== key || this.state.span !== span) return;
        this.#loadedAt = Date.now();
        const known = new Set(this.state.events.map((e) => e.id));
        const events = [...past.events.filter((e) => !known.has(e.id)), ...this.state.events];
        this.setState({ series: new Series(past), events: events.slice(-MAX_EVENTS) });
      })
      .catch((e: unknown) => this.#say((e as Error).message))
      .finally(() => {
        if (this.#loading === wanted) this.#loading = "";
      });
  }

  #explaining = (e: Event): void => {
    const open = (e.target as HTMLDetailsElement).open;
    if (open === this.state.explaining) return;
    this.setState({ explaining: open });
    clearInterval(this.#explainTimer);
    if (!open) return;
    const again = (): void => {
      if (document.hidden || this.state.key === "") return;
      this.#asking.explain(this.state.key).then(
        (explained) => this.setState({ explained, explainError: "" }),
        (x: unknown) => this.setState({ explained: null, explainError: (x as Error).message }),
      );
    };
    again();
    this.#explainTimer = window.setInterval(again, EXPLAIN_MS);
  };

  #ask(what: "policy" | "pin", may: boolean, { key, name, policy, source }: VipBrief): void {
    const detail = this.state.live?.detail;
    if (!may) this.setState({ asked: { what: "token" } });
    else if (what === "pin") {
      const servers = detail?.key === key ? detail.servers : [];
      if (servers.length === 0) this.#say("the servers are not known yet");
      else this.setState({ asked: { what, key, name, servers, pinned: source === "override" } });
    } else
      this.#asking.policies().then(
        (policies) => this.setState({ asked: { what, key, name, policies, inForce: policy } }),
        (e: unknown) => this.#say((e as Error).message),
      );
  }

  async #act(act: Act): Promise<string> {
    return (await this.#asking.act(act)).text;
  }

  #signIn = async (token: string): Promise<boolean> => {
    const before = this.#asking.token;
    this.#asking.token = token;
    const me = await this.#who();
    if (me?.role === "operate") {
      keepToken(token);
      this.#feed.watch(this.state.key);
      return true;
    }
    this.#asking.token = before;
    return false;
  };

  #signOut = (): void => {
    forgetToken();
    this.#asking.token = "";
    void this.#who();
  };

  async #who(): Promise<Me | null> {
    try {
      const me = await this.#asking.me();
      this.setState({ me });
      return me;
    } catch (e) {
      this.#say((e as Error).message);
      return null;
    }
  }

  #closed(text: string): void {
    this.setState({ asked: null });
    if (text !== "") this.#say(text);
  }

  #say(said: string): void {
    clearTimeout(this.#saidTimer);
    this.setState({ said });
    this.#saidTimer = window.setTimeout(() => this.setState({ said: "" }), SAID_MS);
  }

  #theme(theme: Theme): void {
    applyTheme(theme);
    this.setState({ theme });
  }
}

/** Why a policy decides that nobody ordered. */
const TURNS: Readonly<Record<string, string>> = {
  experiment: ", an experiment's turn",
  comparison: ", the guardrail compares",
  suspicion: ", the guardrail tries who does harm",
  guardrail: ", by the guardrail",
};

function tiles(v: VipBrief, endMs: number): View {
  const all: readonly (readonly [label: string, value: string, note: string])[] = [
    ["Policy", v.policy || "–", `mode ${v.mode}${v.source === "inference" ? (TURNS[v.turnOf] ?? "") : `, set by ${v.source}`}`],
    ["p50 / p95", `${ms(v.p50, endMs)} / ${ms(v.p95, endMs)}`, `p99 ${ms(v.p99, endMs)}, last 10 s`],
    ["New flows", `${count(v.newFlows)} /s`, `${count(v.flows)} in progress`],
    // Fewer flows than servers cannot be spread evenly: one flow at four servers is 0.25, and nothing is wrong.
    v.flows < v.servers
      ? ["Fairness", "–", "fewer flows than servers"]
      : ["Fairness", fixed(v.jain, 3), "Jain's index, 1 = even"],
    ["Loop", ms(v.effectMs), "frame to weights in effect"],
  ];
  return html`<dl class="tiles">${all.map(
    ([label, value, note]) =>
      html`<div key=${label}><dt>${label}</dt><dd><b>${value}</b><span class="hint">${note}</span></dd></div>`,
  )}</dl>`;
}
