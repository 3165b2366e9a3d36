export type Theme = "auto" | "light" | "dark";

const KEY = "dashboard-theme";
const THEMES: readonly Theme[] = ["auto", "light", "dark"];

/** Turns a button into the switch between the system's colours, light and dark. */
export function themeSwitch(button: HTMLElement, changed: () => void): void {
  const apply = (theme: Theme): void => {
    if (theme === "auto") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme;
    button.textContent = `Theme: ${theme}`;
    button.dataset["theme"] = theme;
    localStorage.setItem(KEY, theme);
    changed();
  };
  const stored = localStorage.getItem(KEY);
  apply(THEMES.find((theme) => theme === stored) ?? "auto");
  button.addEventListener("click", () => {
    const at = THEMES.findIndex((theme) => theme === button.dataset["theme"]);
    apply(THEMES[(at + 1) % THEMES.length] ?? "auto");
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
}

export const COLOURS = 6;
/** Apart from its colour, each line of a chart has dashes of its own. */
const DASHES: readonly (readonly number[])[] = [[], [7, 4], [2, 3], [10, 3, 2, 3], [5, 2], [1, 5]];

/** Lines that share a colour have different dashes. */
export function dashOf(index: number): readonly number[] {
  return DASHES[(index + Math.floor(index / COLOURS)) % DASHES.length] ?? [];
}

/** A colour of the style sheet, as a canvas wants it. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
