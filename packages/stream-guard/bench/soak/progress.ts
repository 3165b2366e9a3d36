/** One line on stderr: rewritten in place on a terminal, now and then a new one elsewhere. */
export class Progress {
  readonly #everyMs = process.stderr.isTTY ? 200 : 10_000;
  #saidAt = Number.NEGATIVE_INFINITY;

  readonly say = (text: string): void => {
    const at = performance.now();
    if (at - this.#saidAt < this.#everyMs) return;
    this.#saidAt = at;
    process.stderr.write(process.stderr.isTTY ? `\r\u001B[2K${text}` : `${text}\n`);
  };

  end(): void {
    if (process.stderr.isTTY) process.stderr.write("\r\u001B[2K");
  }
}
