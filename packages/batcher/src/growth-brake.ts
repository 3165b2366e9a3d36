/** How busy this process is, each as a share from 0 to 1. */
export interface LoadReading {
  readonly eventLoopUtilization: number;
  readonly memoryPressure: number;
}

const mostUtilization = 0.9;
const mostPressure = 0.85;

/** Stops growth while this process is short of time or memory. It can never cause growth. */
export class GrowthBrake {
  readonly #read: (() => LoadReading) | undefined;
  #braking = false;

  constructor(read: (() => LoadReading) | undefined) {
    this.#read = read;
  }

  /** As of the last question. */
  get braking(): boolean {
    return this.#braking;
  }

  mayGrow(): boolean {
    const load = this.#read?.();
    this.#braking =
      load !== undefined &&
      (load.eventLoopUtilization > mostUtilization || load.memoryPressure > mostPressure);
    return !this.#braking;
  }
}
