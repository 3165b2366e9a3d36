import { randomBytes } from "node:crypto";
import { agentNotFound } from "../errors.ts";
import type { AgentFilter } from "../store.ts";
import type { Agent, AgentStatus, AgentWorkload, NewAgent, Page, PageRequest } from "../types.ts";
import { cursorToSeq, toPage, where, type Row } from "./pages.ts";
import type { Statements } from "./statements.ts";

export class AgentTable {
  readonly #sql: Statements;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  insert({ name, role, swarmId }: NewAgent, now: string): Agent {
    const id = `agent_${randomBytes(8).toString("hex")}`;
    this.#sql.run(
      "INSERT INTO agents (id, name, role, status, swarm_id, created_at) VALUES (?, ?, ?, 'active', ?, ?)",
      id,
      name,
      role,
      swarmId ?? null,
      now,
    );
    return {
      id,
      name,
      role,
      status: "active",
      swarmId: swarmId ?? null,
      createdAt: now,
      retiredAt: null,
    };
  }

  get(id: string): Agent {
    const row = this.#sql.get("SELECT * FROM agents WHERE id = ?", id);
    if (row === undefined) throw agentNotFound(id);
    return toAgent(row);
  }

  list({ status, swarmId }: AgentFilter, page: PageRequest): Page<Agent> {
    const { clause, values } = where({ status, swarm_id: swarmId });
    const sql = `SELECT * FROM agents WHERE ${clause} ORDER BY seq LIMIT ?`;
    const rows = this.#sql.all(sql, cursorToSeq(page.cursor), ...values, page.limit + 1);
    return toPage(rows, page, toAgent);
  }

  retire(id: string, now: string): Agent {
    this.#sql.run(
      "UPDATE agents SET status = 'retired', retired_at = ? WHERE id = ? AND status = 'active'",
      now,
      id,
    );
    return this.get(id);
  }

  /** The active agent with the fewest open tasks; the oldest of equals. */
  leastLoaded(swarmId: string | undefined): string | undefined {
    const inSwarm = swarmId === undefined ? "" : "AND swarm_id = ?";
    const row = this.#sql.get(
      `SELECT id FROM agents WHERE status = 'active' ${inSwarm}
       ORDER BY open_tasks, seq LIMIT 1`,
      ...(swarmId === undefined ? [] : [swarmId]),
    );
    return row?.["id"] as string | undefined;
  }

  active(swarmId: string): Agent[] {
    return this.#sql
      .all("SELECT * FROM agents WHERE swarm_id = ? AND status = 'active' ORDER BY seq", swarmId)
      .map(toAgent);
  }

  /** Active agents of the swarm without open tasks, youngest first. */
  idle(swarmId: string): Agent[] {
    return this.#sql
      .all(
        `SELECT * FROM agents WHERE swarm_id = ? AND status = 'active' AND open_tasks = 0
         ORDER BY seq DESC`,
        swarmId,
      )
      .map(toAgent);
  }

  workload(swarmId: string | undefined): AgentWorkload[] {
    const inSwarm = swarmId === undefined ? "" : "AND a.swarm_id = ?";
    const rows = this.#sql.all(
      `SELECT a.id, a.name,
         count(*) FILTER (WHERE t.status = 'assigned') AS open,
         count(*) FILTER (WHERE t.status = 'done') AS done,
         count(*) FILTER (WHERE t.status = 'failed') AS failed
       FROM agents AS a LEFT JOIN tasks AS t ON t.agent_id = a.id
       WHERE a.status = 'active' ${inSwarm} GROUP BY a.seq ORDER BY open DESC, a.seq LIMIT 1000`,
      ...(swarmId === undefined ? [] : [swarmId]),
    );
    return rows.map((row) => ({
      agentId: row["id"] as string,
      name: row["name"] as string,
      open: row["open"] as number,
      done: row["done"] as number,
      failed: row["failed"] as number,
    }));
  }

  countByStatus(swarmId: string): Record<AgentStatus, number> {
    const counts: Record<AgentStatus, number> = { active: 0, retired: 0 };
    const sql = "SELECT status, count(*) AS n FROM agents WHERE swarm_id = ? GROUP BY status";
    for (const row of this.#sql.all(sql, swarmId))
      counts[row["status"] as AgentStatus] = row["n"] as number;
    return counts;
  }
}

function toAgent(row: Row): Agent {
  return {
    id: row["id"] as string,
    name: row["name"] as string,
    role: row["role"] as string,
    status: row["status"] as AgentStatus,
    swarmId: row["swarm_id"] as string | null,
    createdAt: row["created_at"] as string,
    retiredAt: row["retired_at"] as string | null,
  };
}
