export type Row = Readonly<Record<string, boolean | number | string>>;

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
  readonly notes?: readonly string[];
}

/** Prints what a bench found: tables, or one line of JSON with `--json`. */
export function report(tables: readonly Table[]): void {
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify({ node: process.version, tables }));
    return;
  }
  for (const { title, rows, notes = [] } of tables) {
    console.log(`\n${title}`);
    console.table(rows);
    for (const note of notes) console.log(note);
  }
}

/** Three figures, or two decimals. */
export function tidy(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(value >= 1 ? 3 : 2));
}

export function percent(ratio: number): string {
  const change = 100 * (ratio - 1);
  return `${change < 0 ? "" : "+"}${change.toFixed(1)} %`;
}
