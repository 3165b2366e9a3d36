import { randomBytes } from "node:crypto";
import { swarmNotFound } from "../errors.ts";
import type { NewSwarm, Page, PageRequest, Swarm } from "../types.ts";
import { cursorToSeq, toPage, type Row } from "./pages.ts";
import type { Statements } from "./statements.ts";

export class SwarmTable {
  readonly #sql: Statements;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  insert({ name, goal, size }: NewSwarm, now: string): Swarm {
    const id = `swarm_${randomBytes(8).toString("hex")}`;
    this.#sql.run(
      "INSERT INTO swarms (id, name, goal, size, created_at) VALUES (?, ?, ?, ?, ?)",
      id,
      name,
      goal,
      size,
      now,
    );
    return { id, name, goal, size, createdAt: now };
  }

  get(id: string): Swarm {
    const row = this.#sql.get("SELECT * FROM swarms WHERE id = ?", id);
    if (row === undefined) throw swarmNotFound(id);
    return toSwarm(row);
  }

  list(page: PageRequest): Page<Swarm> {
    const rows = this.#sql.all(
      "SELECT * FROM swarms WHERE seq > ? ORDER BY seq LIMIT ?",
      cursorToSeq(page.cursor),
      page.limit + 1,
    );
    return toPage(rows, page, toSwarm);
  }

  resize(id: string, size: number): Swarm {
    this.#sql.run("UPDATE swarms SET size = ? WHERE id = ?", size, id);
    return this.get(id);
  }
}

function toSwarm(row: Row): Swarm {
  return {
    id: row["id"] as string,
    name: row["name"] as string,
    goal: row["goal"] as string,
    size: row["size"] as number,
    createdAt: row["created_at"] as string,
  };
}
