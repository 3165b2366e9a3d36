import type { FetchBody, FetchRequest } from "./fetch-request.ts";

/** Larger blobs and forms are not held in memory. */
const MAX_BYTES = 1024 * 1024;
/** What a form adds to a field, at most, apart from its name and value. */
const FIELD_BYTES = 256;
/** UTF-8 takes at most so many for each unit of a string. */
const BYTES_A_UNIT = 3;

export function isUnsized(body: FetchBody): body is Blob | Response {
  return body instanceof Blob || body instanceof Response;
}

/**
 * The same request, whose body is bytes when it is a blob or form of at most 1 MiB, so that it has a length and
 * may be sent a second time. A larger blob has a length, and is read once more for a redirect.
 */
export async function sized(request: FetchRequest, body: Blob | Response): Promise<FetchRequest> {
  if (body instanceof Response || body.size <= MAX_BYTES)
    return { ...request, body: new Uint8Array(await body.arrayBuffer()) };
  return { ...request, headers: { ...request.headers, "content-length": String(body.size) } };
}

/** Whether what it becomes is certain to be small. */
export function isSmallForm(form: FormData): boolean {
  let bytes = FIELD_BYTES;
  for (const [name, value] of form) {
    const [content, fileName] =
      typeof value === "string" ? [value.length * BYTES_A_UNIT, ""] : [value.size, value.name];
    bytes += FIELD_BYTES + content + (name.length + fileName.length) * BYTES_A_UNIT;
    if (bytes > MAX_BYTES) return false;
  }
  return true;
}
