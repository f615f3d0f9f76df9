/** The globals of Node that plain JavaScript here uses, for eslint. */
export default Object.fromEntries(
  ["Buffer", "URL", "clearTimeout", "console", "process", "setTimeout"].map((name) => [name, "readonly"]),
);
