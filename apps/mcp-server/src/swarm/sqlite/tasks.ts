import { randomBytes } from "node:crypto";
import { taskAlreadyCompleted, taskNotFound } from "../errors.ts";
import type { TaskFilter } from "../store.ts";
import type { NewTask, Page, PageRequest, Task, TaskStatus } from "../types.ts";
import { cursorToSeq, toPage, where, type Row } from "./pages.ts";
import type { Statements } from "./statements.ts";

export class TaskTable {
  readonly #sql: Statements;

  constructor(sql: Statements) {
    this.#sql = sql;
  }

  insert(task: NewTask & { readonly agentId: string }, now: string): Task {
    const id = `task_${randomBytes(8).toString("hex")}`;
    const { title, description = "", priority = 5, agentId, swarmId = null } = task;
    this.#sql.run(
      `INSERT INTO tasks (id, title, description, status, priority, agent_id, swarm_id, created_at)
       VALUES (?, ?, ?, 'assigned', ?, ?, ?, ?)`,
      id,
      title,
      description,
      priority,
      agentId,
      swarmId,
      now,
    );
    return {
      id,
      title,
      description,
      status: "assigned",
      priority,
      agentId,
      swarmId,
      result: null,
      createdAt: now,
      completedAt: null,
    };
  }

  get(id: string): Task {
    const row = this.#sql.get("SELECT * FROM tasks WHERE id = ?", id);
    if (row === undefined) throw taskNotFound(id);
    return toTask(row);
  }

  list({ status, agentId, swarmId }: TaskFilter, page: PageRequest): Page<Task> {
    const { clause, values } = where({ status, agent_id: agentId, swarm_id: swarmId });
    const sql = `SELECT * FROM tasks WHERE ${clause} ORDER BY seq LIMIT ?`;
    const rows = this.#sql.all(sql, cursorToSeq(page.cursor), ...values, page.limit + 1);
    return toPage(rows, page, toTask);
  }

  complete(id: string, outcome: "done" | "failed", result: string | undefined, now: string): Task {
    const changed = this.#sql.run(
      "UPDATE tasks SET status = ?, result = ?, completed_at = ? WHERE id = ? AND status = 'assigned'",
      outcome,
      result ?? null,
      now,
      id,
    );
    const task = this.get(id);
    if (changed === 0) throw taskAlreadyCompleted(id, task.status);
    return task;
  }

  countByStatus(swarmId: string): Record<TaskStatus, number> {
    const counts: Record<TaskStatus, number> = { assigned: 0, done: 0, failed: 0 };
    const sql = "SELECT status, count(*) AS n FROM tasks WHERE swarm_id = ? GROUP BY status";
    for (const row of this.#sql.all(sql, swarmId))
      counts[row["status"] as TaskStatus] = row["n"] as number;
    return counts;
  }
}

function toTask(row: Row): Task {
  return {
    id: row["id"] as string,
    title: row["title"] as string,
    description: row["description"] as string,
    status: row["status"] as TaskStatus,
    priority: row["priority"] as number,
    agentId: row["agent_id"] as string,
    swarmId: row["swarm_id"] as string | null,
    result: row["result"] as string | null,
    createdAt: row["created_at"] as string,
    completedAt: row["completed_at"] as string | null,
  };
}
