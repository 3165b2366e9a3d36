/** The content of a file, or undefined when it cannot be read. */
export type ReadTextFile = (path: string) => string | undefined;

/** A control group as a folder that this process can see. */
export interface Cgroup {
  readonly version: 1 | 2;
  readonly folder: string;
}

interface Mount {
  readonly version: 1 | 2;
  /** What of the hierarchy is mounted, and where. */
  readonly root: string;
  readonly point: string;
}

/** Where the groups are when /proc does not tell. */
const USUAL: readonly Cgroup[] = [
  { version: 2, folder: "/sys/fs/cgroup" },
  { version: 1, folder: "/sys/fs/cgroup/memory" },
];

/**
 * The control groups that account for this process's memory, in both versions: its own first, then those
 * around it up to the root of what is mounted. A container without a cgroup namespace sees a path of the
 * host in /proc/self/cgroup, of which only a part is mounted; see cgroups(7) and proc_pid_mountinfo(5).
 */
export function memoryCgroups(read: ReadTextFile): readonly Cgroup[] {
  const mounts = lines(read("/proc/self/mountinfo")).flatMap(mountOf);
  const paths = pathsOf(read("/proc/self/cgroup"));
  const found = mounts.flatMap(({ version, root, point }) =>
    foldersUp(point, withinMount(paths.get(version) ?? "/", root)).map((folder) => ({
      version,
      folder,
    })),
  );
  return found.length > 0 ? found : USUAL;
}

/** `hierarchy:controllers:path`; version 2 has no controllers. A path may hold colons. */
function pathsOf(text: string | undefined): ReadonlyMap<1 | 2, string> {
  const paths = new Map<1 | 2, string>();
  for (const line of lines(text)) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    if (controllers === "") paths.set(2, path);
    else if (controllers.split(",").includes("memory")) paths.set(1, path);
  }
  return paths;
}

/** `id parent device root point options [tags] - type source superoptions` */
function mountOf(line: string): readonly Mount[] {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , root, point] = before.split(" ");
  const [type, , options = ""] = after.split(" ");
  if (root === undefined || point === undefined) return [];
  const mount = { root: unescape(root), point: unescape(point) };
  if (type === "cgroup2") return [{ version: 2, ...mount }];
  const memory = type === "cgroup" && options.split(",").includes("memory");
  return memory ? [{ version: 1, ...mount }] : [];
}

/** The path below the mount point; "" when the group lies outside of what is mounted. */
function withinMount(path: string, root: string): string {
  if (path.split("/").includes("..")) return "";
  const prefix = root === "/" ? "" : root;
  return path === prefix || path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : "";
}

function foldersUp(point: string, path: string): readonly string[] {
  const names = path.split("/").filter((name) => name !== "");
  const base = point === "/" ? "" : point;
  return names
    .map((_, index) => [base, ...names.slice(0, names.length - index)].join("/"))
    .concat(point);
}

function lines(text: string | undefined): readonly string[] {
  return (text ?? "").split("\n").filter((line) => line !== "");
}

/** The kernel writes spaces and the like as octal. */
function unescape(path: string): string {
  return path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCodePoint(Number.parseInt(octal, 8)),
  );
}
