// SPDX-License-Identifier: Apache-2.0
// What an operator is asked before something is ordered: what, and why. The browser's own dialog element keeps the keyboard inside.
// The page draws itself anew each second. Here it changes nothing: fields get what they begin with (`defaultValue`, `defaultChecked`; Preact
// sets `value` and `checked` at each drawing), and the order is for the VIP that the dialog was opened at.
import type { Act, Me, PolicyNow, ServerNow } from "../wire.js";
import { Component, createRef, html } from "./html.js";

/** As it was when the dialog was opened. */
interface AtVip {
  key: string;
  name: string;
}

export type Asked =
  | { what: "token" }
  | (AtVip & { what: "hold"; server: ServerNow })
  | (AtVip & { what: "policy"; policies: readonly PolicyNow[]; inForce: string })
  | (AtVip & { what: "pin"; servers: readonly ServerNow[]; pinned: boolean });

export interface DialogProps {
  asked: Asked;
  me: Me | null;
  /** By a token of this tab, which can be forgotten; a certificate cannot. */
  signedIn: boolean;
  onToken(token: string): Promise<boolean>;
  onSignOut(): void;
  onAct(act: Act): Promise<string>;
  onClose(done: string): void;
}

interface State {
  error: string;
  busy: boolean;
}

function titleOf(asked: Asked): string {
  switch (asked.what) {
    case "token":
      return "Sign in to act";
    case "hold":
      return `${asked.server.holds.length > 0 ? "Undrain" : "Drain"} ${asked.server.address}`;
    case "policy":
      return `Choose the policy of ${asked.name}`;
    case "pin":
      return `Pin the weights of ${asked.name}`;
  }
}

export class Dialog extends Component<DialogProps, State> {
  override state: State = { error: "", busy: false };
  readonly #dialog = createRef<HTMLDialogElement>();
  /** What was done, told when the dialog has closed: closing gives the focus back to where it was. */
  #done = "";

  override componentDidMount(): void {
    this.#dialog.current?.showModal();
  }

  render(): ReturnType<typeof html> {
    const { asked, onClose } = this.props;
    const { error, busy } = this.state;
    const pinned = asked.what === "pin" && asked.pinned;
    return html`<dialog ref=${this.#dialog} aria-labelledby="dialog-title" onClose=${() => onClose(this.#done)}>
      <form method="dialog" onSubmit=${this.#submit}>
        <h2 id="dialog-title">${titleOf(asked)}</h2>
        ${this.#fields()}
        ${asked.what === "token" ? null : html`<label>Why<input name="reason" maxlength="300" required=${asked.what === "pin"} autocomplete="off" placeholder="kept in the history" /></label>`}
        <p class="error" role="alert">${error}</p>
        <div class="buttons">
          <button type="button" onClick=${() => this.#dialog.current?.close()}>Cancel</button>
          ${asked.what === "token" && this.props.me?.role === "operate" && this.props.signedIn ? html`<button type="submit" value="out" formnovalidate>Sign out</button>` : null}
          ${pinned ? html`<button type="submit" value="unpin" disabled=${busy} formnovalidate>Release the pin</button>` : null}
          <button type="submit" value="do" class="primary" disabled=${busy}>${asked.what === "token" ? "Sign in" : asked.what === "pin" ? "Pin" : "Order"}</button>
        </div>
      </form>
    </dialog>`;
  }

  #fields(): ReturnType<typeof html> | null {
    const { asked, me } = this.props;
    switch (asked.what) {
      case "token":
        return html`<p>${me?.hint ?? ""}</p><label>Token<input name="token" type="password" required autocomplete="off" spellcheck=${false} autofocus /></label>`;
      case "hold":
        return html`<p>${
          asked.server.holds.length > 0
            ? "It gets new flows again, at first a part of its share."
            : `It gets no new flows; its ${asked.server.flows} flows in progress run on. At every load balancer of the pool.`
        }</p>`;
      case "policy":
        return html`<fieldset class="choices"><legend>Who sets the weights, at every load balancer</legend>
          <label><input type="radio" name="policy" value="" />as configured<span class="hint">each load balancer's own</span></label>
          ${asked.policies.map(
            (p) =>
              html`<label key=${p.name}><input type="radio" name="policy" value=${p.name} disabled=${!p.usable} defaultChecked=${p.name === asked.inForce} />${p.name}<span class="hint">${p.note}</span></label>`,
          )}</fieldset>`;
      default:
        return html`<p>These weights win over every policy until they are released.</p>
          <div class="weights">${asked.servers.map(
            (s) =>
              html`<label key=${s.address}>${s.address}<input name=${`w:${s.address}`} type="number" min="0" max="1000000" step="any" required defaultValue=${(100 * s.share).toFixed(1)} /></label>`,
          )}</div>`;
    }
  }

  #submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    const form = new FormData(e.target as HTMLFormElement);
    const text = (name: string): string => String(form.get(name) ?? "");
    this.setState({ busy: true, error: "" });
    try {
      const button = (e.submitter as HTMLButtonElement | null)?.value;
      if (button === "out") this.props.onSignOut();
      this.#done = button === "out" ? "signed out" : await this.#order(text, form, button === "unpin");
      this.#dialog.current?.close();
    } catch (x) {
      this.setState({ busy: false, error: (x as Error).message });
    }
  };

  async #order(text: (name: string) => string, form: FormData, unpin: boolean): Promise<string> {
    const { asked, onAct, onToken } = this.props;
    if (asked.what === "token") {
      if (!(await onToken(text("token").trim()))) throw new Error("that is not the token");
      return "signed in";
    }
    const common = { key: asked.key, reason: text("reason") };
    if (asked.what === "hold")
      return onAct({ ...common, do: asked.server.holds.length > 0 ? "undrain" : "drain", address: asked.server.address });
    if (asked.what === "policy") return onAct({ ...common, do: "policy", policy: text("policy") });
    if (unpin) return onAct({ ...common, do: "unpin" });
    const weights = [...form.entries()].flatMap(([name, value]) =>
      name.startsWith("w:") ? [{ address: name.slice(2), weight: Number(value) }] : [],
    );
    return onAct({ ...common, do: "pin", weights });
  }
}
