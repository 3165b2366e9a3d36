import type { Statements } from "./statements.ts";

/** Every table with its columns, and the index that each of the other queries needs. */
const TABLES = {
  swarms: "seq, id, name, goal, size, created_at",
  agents: "seq, id, name, role, status, swarm_id, created_at, retired_at, open_tasks",
  tasks:
    "seq, id, title, description, status, priority, agent_id, swarm_id, result, created_at, completed_at",
} as const;
const INDEXES = {
  agents_by_load: ["agents", "status"],
  agents_by_swarm_load: ["agents", "swarm_id"],
  tasks_by_agent: ["tasks", "agent_id"],
  tasks_by_swarm: ["tasks", "swarm_id"],
} as const;

/**
 * Reads the oldest and the newest row of every table, by number and by id, and the ends of every index. What is missing or
 * damaged there makes it throw; the cost does not grow with the state.
 */
export function probe(sql: Statements): void {
  for (const [table, columns] of Object.entries(TABLES)) {
    readEnds(sql, `SELECT ${columns} FROM ${table}`, "seq");
    readEnds(sql, `SELECT id FROM ${table}`, "id");
  }
  for (const [index, [table, column]] of Object.entries(INDEXES))
    readEnds(
      sql,
      `SELECT ${column} FROM ${table} INDEXED BY ${index} WHERE ${column} > ''`,
      column,
    );
}

function readEnds(sql: Statements, select: string, order: string): void {
  sql.get(`${select} ORDER BY ${order} LIMIT 1`);
  sql.get(`${select} ORDER BY ${order} DESC LIMIT 1`);
}
