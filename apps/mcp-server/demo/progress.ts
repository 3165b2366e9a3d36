const WIDTH = 24;

/** One line that is rewritten on a terminal, and a line for each new title elsewhere. */
export class Progress {
  readonly #total: number;
  #done = 0;
  #title = "";

  constructor(total: number) {
    this.#total = total;
  }

  begin(title: string): void {
    if (title !== this.#title && !process.stdout.isTTY)
      process.stdout.write(`${this.#title === "" ? "" : "\n"}  measuring ${title} `);
    this.#title = title;
    this.#draw();
  }

  step(): void {
    this.#done += 1;
    if (!process.stdout.isTTY) process.stdout.write(".");
    this.#draw();
  }

  end(): void {
    process.stdout.write(process.stdout.isTTY ? "\r\u001B[K" : "\n");
  }

  #draw(): void {
    if (!process.stdout.isTTY) return;
    const filled = Math.round((this.#done / this.#total) * WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(WIDTH - filled);
    process.stdout.write(`\r\u001B[K  ${bar} ${this.#title}`);
  }
}
