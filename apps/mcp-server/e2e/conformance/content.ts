/** A red pixel as PNG. */
const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/** A WAV file with no samples. */
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

export const image = { type: "image", data: png, mimeType: "image/png" } as const;
const audio = { type: "audio", data: wav, mimeType: "audio/wav" } as const;

export function text(value: string): { type: "text"; text: string } {
  return { type: "text", text: value };
}

export function embedded(uri: string, value: string) {
  return { type: "resource", resource: { uri, mimeType: "text/plain", text: value } } as const;
}

/** Tools that take nothing and always answer the same. */
export const constantTools = [
  {
    name: "test_simple_text",
    description: "Answers with a text",
    content: [text("This is a simple text response for testing.")],
  },
  { name: "test_image_content", description: "Answers with an image", content: [image] },
  { name: "test_audio_content", description: "Answers with a sound", content: [audio] },
  {
    name: "test_embedded_resource",
    description: "Answers with a resource",
    content: [embedded("test://embedded-resource", "This is an embedded resource content.")],
  },
  {
    name: "test_multiple_content_types",
    description: "Answers with a text, an image and a resource",
    content: [
      text("Multiple content types test:"),
      image,
      embedded("test://mixed-content-resource", "A resource beside a text and an image."),
    ],
  },
];

export const failingTool = {
  name: "test_error_handling",
  description: "Always fails",
  message: "This tool intentionally returns an error for testing",
};

export const resources = [
  {
    name: "static-text",
    uri: "test://static-text",
    mimeType: "text/plain",
    body: { text: "This is the content of the static text resource." },
  },
  {
    name: "static-binary",
    uri: "test://static-binary",
    mimeType: "image/png",
    body: { blob: png },
  },
  {
    name: "watched",
    uri: "test://watched-resource",
    mimeType: "text/plain",
    body: { text: "Watched." },
  },
];

export const template = {
  name: "template",
  uriTemplate: "test://template/{id}/data",
  mimeType: "application/json",
  body: (id: string): string =>
    JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }),
};

/** Prompts that take nothing and always answer the same. */
export const constantPrompts = [
  {
    name: "test_simple_prompt",
    description: "A text",
    content: [text("This is a simple prompt for testing.")],
  },
  {
    name: "test_prompt_with_image",
    description: "An image and a text",
    content: [image, text("Please analyze the image above.")],
  },
];

export const argumentsPrompt = {
  name: "test_prompt_with_arguments",
  description: "Its two arguments",
};
export const embeddingPrompt = {
  name: "test_prompt_with_embedded_resource",
  description: "A resource and a text",
};

export function argumentsText(arg1: string, arg2: string): string {
  return `Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`;
}

export function resourcePrompt(resourceUri: string) {
  return [
    embedded(resourceUri, "Embedded resource content for testing."),
    text("Please process the embedded resource above."),
  ];
}

export function userMessages<T>(content: readonly T[]): { role: "user"; content: T }[] {
  return content.map((item) => ({ role: "user", content: item }));
}

/** Values that complete the beginning of an argument. */
export function complete(value: string): string[] {
  return ["testing", "tested", "paris", "park", "party"].filter((word) => word.startsWith(value));
}

/** Keywords of JSON Schema 2020-12 that must reach the client as they are. */
export const schema202012 = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  // oxlint-disable-next-line unicorn/no-thenable -- a keyword of JSON Schema
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
} as const;
