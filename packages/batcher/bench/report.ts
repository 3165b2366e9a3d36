export interface Table {
  readonly title: string;
  readonly rows: readonly Readonly<Record<string, boolean | number | string>>[];
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
