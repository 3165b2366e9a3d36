import { PerformanceObserver, constants } from "node:perf_hooks";

/** Calls `onMajor` after each major garbage collection; the returned function ends that. */
export type MajorCollections = (onMajor: () => void) => () => void;

/** V8's mark-compact collections, as `perf_hooks` reports them: a moment later, and never while nothing is collected. */
export const observeMajorCollections: MajorCollections = (onMajor) => {
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { detail } = entry as { readonly detail?: { readonly kind?: number } };
      if (detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) onMajor();
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  return () => {
    observer.disconnect();
  };
};
