import { getHeapStatistics } from "node:v8";

export interface HeapSample {
  readonly heapUsedBytes: number;
  /** Memory outside V8's heap that its objects hold: buffers above all. */
  readonly externalBytes: number;
}

export function readHeap(): HeapSample {
  const { used_heap_size: heapUsedBytes, external_memory: externalBytes } = getHeapStatistics();
  return { heapUsedBytes, externalBytes };
}
