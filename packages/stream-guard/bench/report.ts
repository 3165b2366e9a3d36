export type Row = Readonly<Record<string, number | string>>;

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** Prints what a bench found: tables, or one line of JSON with `--json`. */
export function report(tables: readonly Table[]): void {
  if (process.argv.includes("--json")) {
    console.log(JSON.stringify({ node: process.version, tables }));
    return;
  }
  for (const { title, rows } of tables) {
    console.log(`\n${title}`);
    console.table(rows);
  }
}

/** Three figures. */
export function tidy(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

export function percent(ratio: number): string {
  const change = 100 * (ratio - 1);
  return `${change < 0 ? "" : "+"}${change.toFixed(1)} %`;
}
