import type { ActionAnswer, ActionView, DashboardHistory } from "../src/dashboard-protocol.ts";
import { element, setText } from "./dom.ts";
import type { Stream } from "./stream.ts";

/** What the operator may do, each with its answer beside it. */
export class ActionPanel {
  readonly root: HTMLElement;
  readonly #list = element("div", { class: "actions" });
  readonly #stream: Stream;
  readonly #token: HTMLInputElement;
  readonly #tokenField: HTMLElement;
  #built = "";

  constructor(stream: Stream) {
    this.#stream = stream;
    this.#token = element("input", {
      attributes: { type: "password", id: "action-token", autocomplete: "off" },
    });
    this.#tokenField = element(
      "form",
      { class: "field", on: { submit: (event) => event.preventDefault() } },
      element("label", { text: "Token for actions", attributes: { for: "action-token" } }),
      this.#token,
    );
    const title = element("h2", { text: "Actions", attributes: { id: "panel-actions" } });
    this.root = element(
      "section",
      {
        class: "panel",
        attributes: { "aria-labelledby": "panel-actions", "data-panel": "actions" },
      },
      element("div", { class: "panel-head" }, title),
      this.#tokenField,
      this.#list,
    );
    this.root.hidden = true;
  }

  load({ actions, actionToken }: DashboardHistory): void {
    this.root.hidden = actions.length === 0;
    this.#tokenField.hidden = !actionToken;
    const key = JSON.stringify(actions);
    if (key === this.#built) return;
    this.#built = key;
    this.#list.replaceChildren(...actions.map((action) => this.#form(action)));
  }

  #form(action: ActionView): HTMLElement {
    const result = element("p", { class: "result", attributes: { role: "status" } });
    const input = inputOf(action);
    const confirmation = element("span", { class: "confirm" });
    const ask = (): void => {
      if (action.confirm === "") return void this.#run(action, input?.value ?? "", result);
      const done = (): void => confirmation.replaceChildren();
      const yes = element("button", {
        class: "danger",
        text: "Yes",
        attributes: { type: "button" },
        on: {
          click: () => (done(), button.focus(), void this.#run(action, input?.value ?? "", result)),
        },
      });
      const no = element("button", {
        text: "No",
        attributes: { type: "button" },
        on: { click: () => (done(), button.focus()) },
      });
      confirmation.replaceChildren(element("span", { text: action.confirm }), yes, no);
      no.focus();
    };
    const button = element("button", {
      text: action.label,
      attributes: { type: "button" },
      on: { click: ask },
    });
    const id = `input-${action.name}`;
    const field =
      input === undefined
        ? undefined
        : element("label", { text: action.input?.label ?? "", attributes: { for: id } });
    input?.setAttribute("id", id);
    return element(
      "div",
      { class: "action", attributes: { "data-action": action.name } },
      action.description === ""
        ? undefined
        : element("p", { class: "description", text: action.description }),
      element("p", { class: "field" }, field, input, button, confirmation),
      result,
    );
  }

  async #run(action: ActionView, input: string, result: HTMLElement): Promise<void> {
    result.dataset["ok"] = "";
    setText(result, "Running…");
    const { ok, message } = await this.#post(action.name, input);
    result.dataset["ok"] = String(ok);
    setText(result, `${ok ? "✓" : "✗"} ${message}`);
  }

  async #post(name: string, input: string): Promise<ActionAnswer> {
    const own = this.#tokenField.hidden ? undefined : this.#token.value;
    try {
      const response = await fetch(`api/actions/${name}`, {
        method: "POST",
        headers: { ...this.#stream.headers(own), "content-type": "application/json" },
        body: JSON.stringify({ input }),
      });
      if (response.headers.get("content-type")?.startsWith("application/json") === true) {
        return (await response.json()) as ActionAnswer;
      }
      return { ok: false, message: (await response.text()).trim() };
    } catch {
      return { ok: false, message: "The server cannot be reached" };
    }
  }
}

function inputOf({ input }: ActionView): HTMLInputElement | HTMLSelectElement | undefined {
  if (input === undefined) return undefined;
  if (input.choices.length > 0) {
    return element("select", {}, ...input.choices.map((text) => element("option", { text })));
  }
  const inputmode = input.type === "number" ? "decimal" : "text";
  const attributes = {
    type: "text",
    inputmode,
    maxlength: String(input.maxLength),
    autocomplete: "off",
  };
  return element("input", { attributes });
}
